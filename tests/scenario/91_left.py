# SPDX-License-Identifier: Apache-2.0
import importlib
import json
import os
import shutil
import threading
import time

import house

writes = importlib.import_module("90_writes")


def until(true):
    for _ in range(200):
        if true():
            return True
        time.sleep(0.05)
    return False


def scenario(sluice, folder):
    """A client that leaves while its write is under way: the write is made once, and stands in the ledger."""
    for part in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", part), os.path.join(folder, part))
    with open(os.path.join(folder, "policies", "house", "writes.yaml"), "w") as out:
        out.write(writes.GRANTS)
    ehr, go_on = writes.Ehr(writes.records()), threading.Event()
    write = ehr.write
    ehr.write = lambda handler, path: (go_on.wait(20), write(handler, path))
    h = house.House(sluice, upstream=ehr.server.url, policies=os.path.join(folder, "policies"))
    try:
        token = h.token("ward", "TREAT", "--scope", "system/*.cruds")
        h.start()
        body = json.dumps(writes.made("Observation", None, status="final", code={"text": "x"}, subject=writes.P)).encode()
        head = (f"POST /fhir/Observation HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n")
        with h.connect() as client:
            client.sendall(head.encode() + body)
            h.expect("the write is under way", until(lambda: any(path.endswith("/Observation") for path in ehr.server.asked)))
        time.sleep(0.2)  # the gateway notices
        go_on.set()
        h.expect("it ends", until(lambda: "create Observation" in h.logged()))
        h.stop()
        made = [r for r in h.ledger() if r["interaction"]["kind"] == "create"]
        h.expect("made once, and in the ledger", len(ehr.writes) == 1 and len(made) == 1 and made[0]["written"][0]["stored"] and
                 made[0]["written"][0]["item"] == "Observation/made-1" and made[0]["peer"], made)
    finally:
        h.close()
    return h.failures


if __name__ == "__main__":
    house.main(scenario)
