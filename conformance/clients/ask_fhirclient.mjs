// SPDX-License-Identifier: Apache-2.0
// Asks through fhirclient, and prints what it was given as one JSON object. Argument: the plan, see run.py.
import FHIR from 'fhirclient';

const plan = JSON.parse(process.argv[2]);
const fake = { url: plan.base, headers: {} };
const client = FHIR(fake, { setHeader() {} }).client({ serverUrl: plan.base, tokenResponse: { access_token: plan.token } });
const out = { read: await client.request(plan.read) };
out.search = (await client.request(plan.search)).entry.map((one) => one.resource.id ?? null);
out.pages = [];
await client.request(plan.paged, { pageLimit: 0, onPage: (page) => out.pages.push(page.entry?.length ?? 0) });
out.paged = (await client.request(plan.paged, { flat: true, pageLimit: 0 })).map((one) => one.id ?? null);
out.missing = await client.request(plan.missing).then(() => 200, (error) => error.statusCode ?? error.status);
if (plan.write) {
  const made = await client.create({ ...plan.write });
  const changed = await client.request({ url: `${plan.write.resourceType}/${made.id}`, method: 'PUT', body: JSON.stringify({ ...made, status: plan.status }),
    headers: { 'content-type': 'application/fhir+json', 'if-match': `W/"${made.meta.versionId}"` } });
  out.written = [made.id, made.status, changed.status, (await client.request(`${plan.write.resourceType}/${made.id}`)).status];
}
console.log(JSON.stringify(out));
