// Decodes pprof files with the package pprof-format and adds up self and total of each function for
// the first weight, one JSON object a file: {name: [self, total]}, as texts, since they are 64 bits
// wide. Run with NODE_PATH set to the folder that holds the package.
const { Profile } = require('pprof-format');
const { gunzipSync } = require('zlib');
const fs = require('fs');

for (const file of process.argv.slice(2)) {
  const profile = Profile.decode(gunzipSync(fs.readFileSync(file)));
  const text = (index) => profile.stringTable.strings[Number(index)];
  const base = (name) => name.split('/').pop();
  const byId = (rows) => new Map(rows.map((row) => [String(row.id), row]));
  const functions = byId(profile.function);
  const mappings = byId(profile.mapping);
  const names = new Map();
  for (const location of profile.location) {
    const mapping = mappings.get(String(location.mappingId));
    const file = mapping && text(mapping.filename);
    const unnamed = !file ? '[unknown]' : file.startsWith('[') ? file : `[${base(file)}]`;
    const lines = location.line.map((line) => ({ id: `f${line.functionId}`, name: text(functions.get(String(line.functionId)).name) }));
    names.set(String(location.id), lines.length ? lines : [{ id: `m${location.mappingId}`, name: unnamed }]);
  }
  const totals = {};
  const add = (name, column, value) => {
    totals[name] = totals[name] || [0n, 0n];
    totals[name][column] += value;
  };
  for (const sample of profile.sample) {
    const value = BigInt(sample.value[0]);
    const frames = sample.locationId.flatMap((id) => names.get(String(id)));
    add(frames[0].name, 0, value);
    const seen = new Map(frames.map((frame) => [frame.id, frame.name]));
    for (const name of seen.values()) add(name, 1, value);
  }
  console.log(JSON.stringify(Object.entries(totals).map(([name, [own, total]]) => [name, `${own}`, `${total}`])));
}
