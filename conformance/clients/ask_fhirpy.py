# SPDX-License-Identifier: Apache-2.0
"""Asks through fhirpy, and prints what it was given as one JSON object. Argument: the plan, see run.py."""
import json
import sys
import urllib.parse

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound


def search(client, path):
    kind, _, query = path.partition("?")
    return client.resources(kind).search(**dict(urllib.parse.parse_qsl(query)))


def missing(client, path):
    try:
        client.reference(*path.split("/")).to_resource()
        return 200
    except ResourceNotFound:
        return 404
    except OperationOutcome:
        return 400


def written(plan):
    """If-Match is for each request to say: fhirpy sends the headers that a client is made with."""
    client = SyncFHIRClient(plan["base"], authorization=f"Bearer {plan['token']}")
    made = client.resource(plan["write"]["resourceType"], **{k: v for k, v in plan["write"].items() if k != "resourceType"})
    made.save()
    first = made["status"]
    sure = SyncFHIRClient(plan["base"], authorization=f"Bearer {plan['token']}",
                          extra_headers={"If-Match": f"W/\"{made['meta']['versionId']}\""})
    changed = sure.resource(made["resourceType"], **{**{k: v for k, v in made.serialize().items() if k != "resourceType"}, "status": plan["status"]})
    changed.save()
    return [made["id"], first, changed["status"], client.reference(made["resourceType"], made["id"]).to_resource()["status"]]


def main():
    plan = json.loads(sys.argv[1])
    client = SyncFHIRClient(plan["base"], authorization=f"Bearer {plan['token']}")
    out = {"read": client.reference(*plan["read"].split("/")).to_resource().serialize()}
    out["search"] = [one["id"] for one in search(client, plan["search"]).fetch()]
    out["paged"] = [one["id"] for one in search(client, plan["paged"]).fetch_all()]
    out["missing"] = missing(client, plan["missing"])
    if plan.get("write"):
        out["written"] = written(plan)
    print(json.dumps(out))


main()
