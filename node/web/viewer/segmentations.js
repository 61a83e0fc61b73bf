// Segmentations: on which slice they open, and how their bits are read.

// How many pixels of a slice each segment has. A hundred million pixels take their time: four bytes
// are looked at together, and those with nothing in them, or with all the same as before, are no work.
function areas(labels) {
  const found = new Uint32Array(labels?.BYTES_PER_ELEMENT === 1 ? 256 : 65536);
  if (!labels || labels.byteOffset % 4) return found;
  const groups = new Uint32Array(labels.buffer, labels.byteOffset, labels.byteLength >> 2);
  const each = 4 / labels.BYTES_PER_ELEMENT;
  const repeated = each === 4 ? 0x01010101 : 0x00010001;
  let [same, segment] = [0, 0];
  for (let at = 0; at < groups.length; at++) {
    const group = groups[at];
    if (!group) continue;
    if (group !== same) {
      const first = labels[at * each];
      if (group !== first * repeated) {
        for (let pixel = at * each; pixel < (at + 1) * each; pixel++) found[labels[pixel]]++;
        continue;
      }
      [same, segment] = [group, first];
    }
    found[segment] += each;
  }
  for (let rest = groups.length * each; rest < labels.length; rest++) found[labels[rest]]++;
  return found;
}

// How far along the normal of its rows and columns an image lies: the order in which reports count.
function depth(imageId) {
  const plane = window.cornerstone.metaData.get('imagePlaneModule', imageId);
  const { rowCosines: r, columnCosines: c, imagePositionPatient: p } = plane || {};
  if (!r || !c || !p) return 0;
  const across = [r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]];
  return across.reduce((sum, part, axis) => sum + part * p[axis], 0);
}

// The slice on which each segment is largest, by its number; of equal ones the first in depth.
function keySlices(imageIds) {
  const found = new Map();
  for (const id of imageIds || []) {
    const image = window.cornerstone.cache.getImage(id);
    const at = depth(image?.referencedImageId);
    areas(image?.voxelManager?.getScalarData()).forEach((area, segment) => {
      if (!segment || !area) return;
      const best = found.get(segment);
      if (!best || area > best.area || (area === best.area && at < best.at))
        found.set(segment, { area, at, imageId: image.referencedImageId });
    });
  }
  return found;
}

const ABNORMAL = '49755003'; // Morphologically Abnormal Structure (SNOMED CT)
const isAbnormal = segment =>
  [segment.SegmentedPropertyCategoryCodeSequence].flat()[0]?.CodeValue === ABNORMAL;

// What a segmentation opens on, as the node's own view does: what should not be there before what is
// only measured, in the order of their numbers; OHIF would open the first slice with anything.
function keySlice({ imageIds, instance }) {
  const found = keySlices(imageIds);
  const listed = [instance?.SegmentSequence || []].flat().filter(one => found.has(one.SegmentNumber));
  const first = listed.find(isAbnormal) || listed[0];
  return found.get(first?.SegmentNumber)?.imageId;
}

// A segmentation of bits is read as one file, and its frames are opened from that, eight pixels at a
// time. OHIF would look for the end of the file byte by byte, send each frame to a worker and back, open
// it pixel by pixel, and turn round the bits of frames that do not end with a byte.
const filesOfBits = new Map(); // by the image id of an instance, without its frame: bytes, pixels

async function fileOf(client, instance) {
  const { StudyInstanceUID: study, SeriesInstanceUID: series, SOPInstanceUID: uid } = instance;
  const address = `${client.wadoURL}/studies/${study}/series/${series}/instances/${uid}`;
  const headers = { ...client.headers, Accept: 'application/dicom' };
  const answer = await fetch(address, { headers });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.arrayBuffer();
}

async function readBits(client, { instance }) {
  const pixels = instance.Rows * instance.Columns;
  const length = 2 * Math.ceil((pixels * instance.NumberOfFrames) / 16);
  const at = atEnd(await fileOf(client, instance), length, PIXEL_DATA);
  return { pixels, bytes: new Uint8Array(at.file, at.begin, length) };
}

// How an element begins: the bytes of its tag, and of its value representations.
const PIXEL_DATA = { tag: 0xe07f1000, kinds: [0x4f42, 0x4f57] }; // OB, OW
const FLOATS = { tag: 0xe07f0800, kinds: [0x4f46] }; // OF

// These objects end with their pixels: tag, VR and length say whether they do.
function atEnd(file, length, { tag, kinds }) {
  const at = file.byteLength - length - 12;
  const head = at > 0 && new DataView(file, at, 12);
  const isThere =
    head &&
    head.getUint32(0) === tag &&
    kinds.includes(head.getUint16(4)) &&
    head.getUint32(8, true) === length;
  if (!isThere) throw new Error('the file does not end with its pixel data');
  return { file, begin: at + 12 };
}

const FOUR = Uint32Array.from({ length: 16 }, (_, four) =>
  [0, 1, 2, 3].reduce((sum, bit) => sum + ((four >> bit) & 1) * 2 ** (8 * bit), 0)
);

// Four pixels a number, as many as a frame has and a few more.
const emptyFrame = ({ pixels }) => new Uint32Array(2 * Math.ceil(pixels / 8));

// Puts a segment where a frame has bits; false where another one is there already.
function addBits({ bytes, pixels }, frame, segment, opened) {
  const [begin, shift] = [Math.floor((frame * pixels) / 8), (frame * pixels) % 8];
  const last = opened.length / 2 - 1;
  const ofLast = (1 << (pixels % 8 || 8)) - 1; // behind them the next frame begins
  for (let at = 0; at <= last; at++) {
    let eight = bytes[begin + at];
    if (shift) eight = ((eight >> shift) | (bytes[begin + at + 1] << (8 - shift))) & 255;
    if (at === last) eight &= ofLast;
    if (!eight) continue;
    const [low, high] = [FOUR[eight & 15], FOUR[eight >> 4]];
    if ((opened[2 * at] & (255 * low)) | (opened[2 * at + 1] & (255 * high))) return false;
    opened[2 * at] |= segment * low;
    opened[2 * at + 1] |= segment * high;
  }
  return true;
}

const inPixels = (opened, { pixels }) => new Uint8Array(opened.buffer, 0, pixels);

function openBits(file, frame) {
  const opened = emptyFrame(file);
  addBits(file, frame, 1, opened);
  return inPixels(opened, file);
}

// So long frames are opened without a pause in which the page answers.
const AT_ONCE_MS = 20;
let paused = 0;

async function pause() {
  if (performance.now() - paused <= AT_ONCE_MS) return;
  await new Promise(done => setTimeout(done));
  paused = performance.now();
}

async function openFrame(file, imageId) {
  await pause();
  const frame = imageId.split('/frames/')[1] - 1;
  const labels = file.labels ? file.labels[frame] : openBits(file, frame);
  return { imageId, sizeInBytes: labels.length, voxelManager: {}, getPixelData: () => labels };
}

function openFromFiles() {
  const { cache, metaData } = window.cornerstone;
  const kept = cache.getImageLoadObject.bind(cache);
  const fileOfBits = id => filesOfBits.size && filesOfBits.get(`${id}`.split('/frames/')[0]);
  cache.getImageLoadObject = id => {
    const file = fileOfBits(id);
    return file ? { promise: openFrame(file, id) } : kept(id);
  };
  const told = (type, id) => (type === 'instance' && fileOfBits(id)?.instance) || undefined;
  metaData.addProvider(told, BEFORE_OHIF);
}

function readByBits({ retrieve }) {
  const whole = retrieve?.prefetchInstanceFrames;
  if (!whole || whole.isGuarded) return;
  retrieve.prefetchInstanceFrames = asked => {
    const { BitsAllocated, Rows, Columns } = asked.instance || {};
    if (BitsAllocated !== 1 || !asked.imageId) return whole(asked);
    const key = asked.imageId.split('/frames/')[0];
    const read = readBits(retrieve.getWadoDicomWebClient(), asked).then(file =>
      asLabels(file, asked.instance)
    );
    const kept = read.then(file => filesOfBits.set(key, file) && true);
    const otherwise = () => (Rows * Columns) % 8 === 0 && whole(asked).done; // else frame by frame
    return { done: kept.catch(otherwise), cancel: () => filesOfBits.delete(key) };
  };
  retrieve.prefetchInstanceFrames.isGuarded = true;
}
