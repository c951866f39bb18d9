# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import hmac
import json
import subprocess
import time

import house


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def whole_number(der, at):
    length = der[at + 1]
    return int.from_bytes(der[at + 2:at + 2 + length], "big"), at + 2 + length


def purpose(code):
    return {"hl7-b2b": {"version": "1", "purpose_of_use": [code]}}


class Smith:
    """Makes tokens that the command would not: any header, any claims, any key."""

    def __init__(self, h):
        self.h = h
        self.kid = json.load(open(h.at("issuer.jwks")))["keys"][0]["kid"]
        self.jwks = open(h.at("issuer.jwks"), "rb").read()
        other = json.loads(h.run("token", "keygen", "--key", h.at("other.pem"), "--algorithm", "ES256"))
        self.other_kid = other["keys"][0]["kid"]

    def sign(self, text, key):
        der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.h.at(key)], input=text.encode(), capture_output=True,
                             check=True).stdout
        r, at = whole_number(der, 3 if der[1] & 0x80 else 2)
        s, _ = whole_number(der, at)
        return b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def token(self, header=None, key="issuer.pem", signature=None, drop=(), **claims):
        now = int(time.time())
        whole = {"iss": house.ISSUER, "aud": self.h.base, "client_id": "ward", "sub": "ward", "scope": "system/*.rs", "iat": now,
                 "exp": now + 600, "note": "CANARY", "extensions": purpose("TREAT")} | claims
        for name in drop:
            del whole[name]
        head = {"alg": "ES256", "kid": self.kid, "typ": "JWT"} | (header or {})
        text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(whole).encode())
        if signature is None:
            return text + "." + self.sign(text, key)
        return text + "." + signature(text)


def refused(smith):
    """Tokens that say nothing: each the same 401."""
    t, now = smith.token, int(time.time())
    mac = lambda text: b64(hmac.new(smith.jwks, text.encode(), hashlib.sha256).digest())
    good = t()
    return {
        "expired": t(exp=now - 600), "not yet good": t(nbf=now + 600), "issued in the future": t(iat=now + 6000),
        "no end": t(drop=["exp"]), "an end in words": t(exp="2099"), "an end that is not a number": t(exp=1e400),
        "for another": t(aud="https://elsewhere.example/fhir"), "for nobody": t(drop=["aud"]), "for a part of the name": t(aud=smith.h.base[:-1]),
        "of another issuer": t(iss="https://elsewhere.example"), "of no issuer": t(drop=["iss"]),
        "of a stranger's key": t(key="other.pem"), "the stranger's kid": t({"kid": smith.other_kid}, key="other.pem"),
        "with the key it brings": t({"jwk": json.load(open(smith.h.at("issuer.jwks")))["keys"][0], "kid": "x"}, key="other.pem"),
        "alg none": t({"alg": "none"}, signature=lambda _: ""), "alg None": t({"alg": "None"}, signature=lambda _: ""),
        "alg HS256 over the public key": t({"alg": "HS256"}, signature=mac), "another alg": t({"alg": "ES384"}),
        "crit": t({"crit": ["exp"]}), "an empty signature": t(signature=lambda _: ""),
        "zeroes": t(signature=lambda _: b64(bytes(64))), "signature in DER": t(signature=lambda _: b64(b"\x30" + bytes(70))),
        "a part too many": good + ".x", "padded": good + "=", "claims in a list": good.split(".")[0] + "." + b64(b"[]") + "." + good.split(".")[2],
        "no client": t(drop=["client_id"]),
        "a client that is a list": t(client_id=["ward"]),
        "two clients": good.split(".")[0] + "." + b64(b'{"iss":"%s","iss":"x"}' % house.ISSUER.encode()) + "." + good.split(".")[2],
        "large": t(filler="x" * 12000),
    }


def scenario(sluice, folder):
    """tokens that are not good enough, in every way: one answer, and nothing of them in log or ledger"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents)
    smith = Smith(h)
    h.start()
    ask = lambda token, path="Condition?patient=kei", headers=(): h.ask(path, token, headers=headers)
    h.expect("a token made here is taken", ask(smith.token())[0] == 200)
    h.expect("so is one for several", ask(smith.token(aud=["https://a.example", h.base]))[0] == 200)
    answers = {name: ask(token) for name, token in refused(smith).items()}
    for name, (status, head, _) in answers.items():
        h.expect(f"{name}: 401", status == 401 and "Bearer" in head, (status, head))
    h.expect("all of them in the same words", len({(body, head.split("Date:")[0]) for _, head, body in answers.values()}) == 1,
             {body for _, _, body in answers.values()})
    for name in ("nobody", "ward2", "WARD", "ward "):
        unknown = ask(smith.token(client_id=name))
        h.expect(f"{name!r}, whom the registry does not know: 403", unknown[0] == 403 and b"kei" not in unknown[2], unknown)
    twice = ask(smith.token(), headers=("Authorization: Bearer " + smith.token(),))
    h.expect("two tokens are none", twice[0] in (400, 401), twice)

    scopes = {"none": 403, "": 403, "system/Observation.rs": 403, "system/Condition.r": 403, "system/Condition.s": 200, "system/*.cruds": 200,
              "patient/*.rs": 403, "user/Condition.rs": 200, "system/*.rs?category=x": 401, "system/*": 401, "system/Condition.read": 200,
              "system/Condition.rs\u0000": 401, "openid profile " * 200 + "system/*.rs": None, "system/*.rs " * 50: None}
    for scope, wanted in scopes.items():
        status, _, body = ask(smith.token(scope=scope))
        allowed = {wanted} if wanted else {200, 401, 403}
        h.expect(f"scope {scope[:30]!r}: {wanted}", status in allowed and (status == 200 or b"kei" not in body), (status, body[:200]))
    h.expect("a scope that is no text", ask(smith.token(scope=["system/*.rs"]))[0] in (401, 403))
    own = smith.token(scope="patient/*.rs", patient="kei")
    h.expect("patient/*.rs reads the patient of the token", h.ids("Condition?patient=kei", own) != [] and ask(own)[0] == 200)
    h.expect("and of another one nothing", h.ids("Condition?patient=amara", own) == [] and ask(own, "Patient/amara")[0] == 404,
             h.ids("Condition?patient=amara", own))
    absent, other = ask(own, "Condition/nothing"), ask(own, "Condition/amara-pc-diabetes")
    h.expect("in the words of what is not there", absent[2] == other[2] and absent[0] == other[0] == 404, other)

    for code in ("HRESCH", "HMARKT", "made-up"):
        status, _, body = ask(smith.token(extensions=purpose(code)))
        h.expect(f"purpose {code}, which the registry does not allow: 403", status in (401, 403) and b"kei" not in body, (status, body))
    h.expect("a purpose in the header that the registry does not allow", ask(smith.token(), headers=("Sluice-Purpose: HRESCH",))[0] in (400, 403))
    h.expect("roles and kinds that a token claims count for nothing",
             h.ids("Condition?patient=kei", smith.token(client_id="study", sub="study", extensions={
                 "hl7-b2b": {"version": "1", "subject_role": ["physician"], "purpose_of_use": ["HRESCH"]}})) in ([], 403))
    h.expect("it answers still", ask(smith.token())[0] == 200)
    text = h.logged() + json.dumps(h.ledger())
    h.expect("no token in log and ledger", "CANARY" not in text and "eyJ" not in text and "elsewhere.example" not in text)
    h.close()
    return h.failures


house.main(scenario)
