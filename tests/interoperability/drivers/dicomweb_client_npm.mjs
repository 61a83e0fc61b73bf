// dicomweb-client of npm, the one that OHIF uses, in Node.js: XMLHttpRequest comes from xhr2.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { there, load, tell } from './driving.mjs';

globalThis.XMLHttpRequest = load('xhr2');
globalThis.window ??= globalThis;
const { api } = load('dicomweb-client');
const client = new api.DICOMwebClient({ url: there.web });
const { study: studyInstanceUID, image_series: seriesInstanceUID, image: sopInstanceUID } = there;

async function qido() {
  const studies = await client.searchForStudies({ queryParams: { PatientID: there.patient_id } });
  const series = await client.searchForSeries({ studyInstanceUID });
  const instances = await client.searchForInstances({ studyInstanceUID });
  return {
    studies: studies.map((one) => one['0020000D'].Value[0]),
    series: series.map((one) => one['0020000E'].Value[0]),
    instances: instances.map((one) => one['00080018'].Value[0]),
  };
}

async function wado() {
  const whole = await client.retrieveStudy({ studyInstanceUID });
  const { data } = load('dcmjs');
  const instances = whole.map((one) =>
    data.DicomMetaDictionary.naturalizeDataset(data.DicomMessage.readFile(one).dict).SOPInstanceUID);
  return { instances };
}

async function metadata() {
  const found = await client.retrieveStudyMetadata({ studyInstanceUID });
  return { instances: found.map((one) => one['00080018'].Value[0]) };
}

async function frames() {
  const [frame] = await client.retrieveInstanceFrames({ studyInstanceUID, seriesInstanceUID, sopInstanceUID, frameNumbers: [1] });
  return { frame: createHash('sha256').update(Buffer.from(frame)).digest('hex') };
}

async function rendered() {
  const picture = await client.retrieveInstanceRendered({ studyInstanceUID, seriesInstanceUID, sopInstanceUID });
  return { bytes: (Array.isArray(picture) ? picture[0] : picture).byteLength };
}

async function stow() {
  const datasets = there.files.map((file) => { const b = readFileSync(file); return b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength); });
  const answer = await client.storeInstances({ datasets });
  const said = typeof answer === 'string' ? JSON.parse(answer) : answer;
  return { stored: said['00081199'].Value.map((one) => one['00081155'].Value[0]) };
}

await tell({ qido, wado, metadata, frames, rendered, stow });
