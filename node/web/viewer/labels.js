// Segmentations of many segments: what lies on one slice is opened as one picture of labels.

// OHIF opens each frame of bits as a picture as large as its slice, and looks at every pixel, with a
// hundred segments at some 900 million. While it reads such a segmentation it is told of one of
// labels, with a frame for each slice, where no two segments share a pixel.

const BEFORE_OHIF = 20000; // the priority of what tells it
const MOST_SEGMENTS = 255; // a label is a byte

const only = sequence => [sequence || []].flat()[0];

// Which frames lie on each slice; nothing where that is not known, or there are no more frames than
// slices. The first group of attributes stands for all of the slice.
function framesBySlice({ SegmentationType, ...instance }) {
  const shared = only(instance.SharedFunctionalGroupsSequence);
  if (SegmentationType !== 'BINARY' || !shared?.PlaneOrientationSequence) return [];
  const groups = [instance.PerFrameFunctionalGroupsSequence || []].flat();
  const slices = new Map();
  for (const [frame, group] of groups.entries()) {
    const place = only(group.PlanePositionSequence)?.ImagePositionPatient;
    const named = group.SegmentIdentificationSequence || shared.SegmentIdentificationSequence;
    const segment = Number(only(named)?.ReferencedSegmentNumber);
    if (!place || !(segment > 0 && segment <= MOST_SEGMENTS)) return [];
    const slice = slices.get(`${place}`) || { group, frames: [] };
    slice.frames.push({ frame, segment });
    slices.set(`${place}`, slice);
  }
  return slices.size < groups.length ? [...slices.values()] : [];
}

// The labels of each slice; nothing where two segments share a pixel.
async function labelsOf(file, slices) {
  const found = [];
  for (const { frames } of slices) {
    await pause();
    const opened = emptyFrame(file);
    if (!frames.every(({ frame, segment }) => addBits(file, frame, segment, opened))) return null;
    found.push(inPixels(opened, file));
  }
  return found;
}

// The file with its labels, and the instance that OHIF is told of; the file alone where it has to
// read it frame by frame.
async function asLabels(file, instance) {
  const slices = framesBySlice(instance);
  const labels = slices.length ? await labelsOf(file, slices) : null;
  if (!labels) return file;
  const told = Object.assign(Object.create(instance), {
    SegmentationType: 'LABELMAP',
    BitsAllocated: 8,
    BitsStored: 8,
    HighBit: 7,
    NumberOfFrames: slices.length,
    PerFrameFunctionalGroupsSequence: slices.map(({ group }) => group),
  });
  return { labels, instance: told };
}
