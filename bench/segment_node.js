// SPDX-License-Identifier: Apache-2.0
// segment_node.js FILE…: Node's JSON.parse and JSON.stringify of the same files, best of some rounds, in MB/s. From string to
// string: what it takes to make strings of received bytes, and bytes of them again, is not counted.
'use strict';
const fs = require('fs');

const ROUNDS = 4;
const files = process.argv.slice(2).map((path) => fs.readFileSync(path));
const texts = files.map((bytes) => bytes.toString('utf8'));
const total = files.reduce((sum, bytes) => sum + bytes.length, 0);

let best = Infinity;
let printed = 0;
for (let round = 0; round < ROUNDS; round++) {
  const begin = process.hrtime.bigint();
  for (const text of texts) printed += JSON.stringify(JSON.parse(text)).length;
  best = Math.min(best, Number(process.hrtime.bigint() - begin) / 1e9);
}
if (!printed) process.exit(1);
console.log(`node ${process.version} parse and stringify ${(total / best / 1e6).toFixed(0)} MB/s`);
