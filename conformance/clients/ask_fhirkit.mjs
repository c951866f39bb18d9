// SPDX-License-Identifier: Apache-2.0
// Asks through fhir-kit-client, and prints what it was given as one JSON object. Argument: the plan, see run.py.
import * as kit from 'fhir-kit-client';

const plan = JSON.parse(process.argv[2]);
const client = new kit.Client({ baseUrl: plan.base, bearerToken: plan.token });
const parts = (path) => Object.fromEntries(new URLSearchParams(path.split('?')[1]));
const [resourceType, id] = plan.read.split('/');
const out = { read: await client.read({ resourceType, id }) };
out.search = (await client.search({ resourceType: plan.search.split('?')[0], searchParams: parts(plan.search) })).entry.map((one) => one.resource.id ?? null);
[out.pages, out.paged] = [[], []];
let page = await client.search({ resourceType: plan.paged.split('?')[0], searchParams: parts(plan.paged) });
while (page) {
  out.pages.push(page.entry?.length ?? 0);
  out.paged.push(...(page.entry ?? []).map((one) => one.resource.id ?? null));
  page = page.link.some((one) => one.relation === 'next') ? await client.nextPage({ bundle: page }) : undefined;
}
out.missing = await client.read({ resourceType: plan.missing.split('/')[0], id: plan.missing.split('/')[1] }).then(() => 200, (error) => error.response.status);
out.capabilities = (await client.capabilityStatement()).fhirVersion;
if (plan.write) {
  const made = await client.create({ resourceType: plan.write.resourceType, body: plan.write });
  const changed = await client.update({ resourceType: made.resourceType, id: made.id, body: { ...made, status: plan.status },
    options: { headers: { 'If-Match': `W/"${made.meta.versionId}"` } } });
  out.written = [made.id, made.status, changed.status, (await client.read({ resourceType: made.resourceType, id: made.id })).status];
}
console.log(JSON.stringify(out));
