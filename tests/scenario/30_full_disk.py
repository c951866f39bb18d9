# SPDX-License-Identifier: Apache-2.0
import resource
import signal

import house


def scenario(sluice, folder):
    """when the ledger cannot be written, nothing is released"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents)
    h.write("sluice.yaml", open(h.at("sluice.yaml")).read().replace("directory: ledger", "directory: ledger\n  segment: 65536"))

    def small_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (70000, 70000))

    h.start(preexec_fn=small_disk)
    good = h.ask("Condition?patient=kei")
    h.expect("at first it answers", good[0] == 200, good)
    refused, unrecorded = 0, 0
    for _ in range(400):
        status, _, body = h.ask("Condition?patient=kei")
        if status != 200:
            refused += 1
            unrecorded += b"kei" in body
            if refused > 20:
                break
    h.expect("then it answers 503, and nothing else", refused > 20, refused)
    h.expect("no record content in a refusal", unrecorded == 0)
    h.expect("the process lives", h.alive())
    h.server.terminate()
    h.server.wait(30)
    h.expect("what is in the ledger verifies", len(h.ledger()) > 0)
    h.server = None
    h.close()
    return h.failures


house.main(scenario)
