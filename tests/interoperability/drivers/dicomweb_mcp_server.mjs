// dicomweb-mcp-server: its tools, asked as a program for language models asks them.
import { pathToFileURL } from 'node:url';
import { there, load, tell } from './driving.mjs';

const sdk = (name) => import(pathToFileURL(load.resolve(`@modelcontextprotocol/sdk/client/${name}.js`)));
const { Client } = await sdk('index');
const { StdioClientTransport } = await sdk('stdio');
const client = new Client({ name: 'driver', version: '1' });
await client.connect(new StdioClientTransport({
  command: process.execPath,
  args: [`${process.env.CLIENT_FOLDER}/src/index.js`],
  env: { ...process.env, DICOMWEB_HOST: there.web },
}));
const { study: studyInstanceUid, image_series: seriesInstanceUid, image: sopInstanceUid } = there;

async function call(name, args) {
  const answer = await client.callTool({ name, arguments: args });
  const text = answer.content.map((one) => one.text ?? '').join('\n');
  if (answer.isError) throw new Error(`${name}: ${text}`);
  return { text, content: answer.content };
}

// Its tools answer with text for people: of the UIDs that are expected, those that stand in it.
const named = (text, uids) => uids.filter((uid) => text.split(/[\s\\]+/).includes(uid));

async function qido() {
  const studies = await call('find-studies', { query: `PatientID=${there.patient_id}` });
  const series = await call('find-series', { studyInstanceUid, query: 'limit=100' });
  const images = await call('find-instances', { studyInstanceUid, seriesInstanceUid, query: 'limit=1000' });
  return {
    studies: named(studies.text, [there.study]),
    series: named(series.text, there.series),
    images: named(images.text, there.images),
  };
}

async function metadata() {
  const { text } = await call('get-instance-metadata', { studyInstanceUid, seriesInstanceUid, sopInstanceUid });
  if (!text.includes(sopInstanceUid)) throw new Error(`the metadata do not name the image: ${text.slice(0, 200)}`);
  // Of reports it reads Basic Text, Enhanced and Comprehensive SR, none in three dimensions.
  return { note: 'an image' };
}

async function rendered() {
  const { content } = await call('render-instance-frame', { studyInstanceUid, seriesInstanceUid, sopInstanceUid, frame: 1, outputFormat: 'image/png' });
  const picture = content.find((one) => one.type === 'image');
  return { bytes: Buffer.from(picture.data, 'base64').length };
}

await tell({ qido, metadata, rendered });
