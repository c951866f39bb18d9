# SPDX-License-Identifier: Apache-2.0
import resource
import signal
import threading

import house


def scenario(sluice, folder):
    """when the ledger cannot be written, nothing is released"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents)
    h.start(preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    good = h.ask("Condition?patient=kei")
    h.expect("at first it answers", good[0] == 200 and b"kei-" in good[2], good)
    # From here on no file of the gateway may grow, as if the disk were full.
    resource.prlimit(h.server.pid, resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
    answers = [h.ask("Condition?patient=kei") for _ in range(5)]
    crowd = [threading.Thread(target=lambda: answers.append(h.ask("Condition?patient=kei"))) for _ in range(40)]
    for thread in crowd:  # records of many are given to the ledger together
        thread.start()
    for thread in crowd:
        thread.join(20)
    h.expect("who asks is told", len(answers) == 45, len(answers))
    h.expect("then it answers 503, and nothing else", {a[0] for a in answers} == {503}, {a[0] for a in answers})
    h.expect("no record content in a refusal", not any(b"kei" in a[2] for a in answers))
    h.expect("one answer for all of them", len({a[2] for a in answers}) == 1)
    resource.prlimit(h.server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    h.expect("a failed write is final until a restart", h.ask("Condition?patient=kei")[0] == 503)
    h.expect("the process lives", h.alive())
    h.server.terminate()
    h.server.wait(30)
    h.expect("what is in the ledger verifies", len(h.ledger()) > 0)
    h.server = None
    h.close()
    return h.failures


house.main(scenario)
