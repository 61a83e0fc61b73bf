// Parametric maps: how they are read, where they open, and in which colours.

// OHIF lays the frames of a parametric map over the slices in the order of the file, wherever they
// lie: upside down where file and stack run against each other. They are put where they belong.
function putInPlace(instance, volume, values = volume.voxelManager.getCompleteScalarDataArray()) {
  const { metaData } = window.cornerstone;
  const normal = [...volume.direction].slice(6);
  const along = place => normal.reduce((sum, part, axis) => sum + part * place[axis], 0);
  const slices = volume.imageIds.map(id =>
    along(metaData.get('imagePlaneModule', id).imagePositionPatient)
  );
  const size = volume.dimensions[0] * volume.dimensions[1];
  const placed = new values.constructor(size * slices.length);
  instance.PerFrameFunctionalGroupsSequence.forEach((frame, from) => {
    const place = along(frame.PlanePositionSequence[0].ImagePositionPatient);
    const to = slices.findIndex(slice => Math.abs(slice - place) < volume.spacing[2] / 2);
    if (to >= 0) placed.set(values.subarray(from * size, (from + 1) * size), to * size);
  });
  volume.voxelManager.setCompleteScalarDataArray(placed);
  return volume;
}

// A map of floats is read as one file. OHIF's reader takes the place of a pixel for that of a byte, and
// ends with an error where rows × columns is no multiple of 4.
async function readFloats(client, displaySet) {
  const { instance, displaySetInstanceUID: volumeId } = displaySet;
  const { cache, volumeLoader } = window.cornerstone;
  const source = displaySet.getReferencedVolumeId();
  const [columns, rows] = cache.getVolume(source)?.dimensions || [];
  if (instance.Rows !== rows || instance.Columns !== columns) throw new Error('another grid');
  const length = 4 * rows * columns * instance.NumberOfFrames;
  const { file, begin } = atEnd(await fileOf(client, instance), length, FLOATS);
  const values = new Float32Array(file.slice(begin)).map(one => 100 * one); // as OHIF has them
  const targetBuffer = { type: 'Float32Array' };
  const made = volumeLoader.createAndCacheDerivedVolume(source, { volumeId, targetBuffer });
  const volume = putInPlace(instance, await made, values);
  volume.loadStatus = { loaded: true };
  return volume;
}

// What others wait for when OHIF loads a map: an entry in the cache, and a word when it is there.
async function loadFloats(client, displaySet, segmentationService) {
  const [scheme] = displaySet.getReferencedVolumeId().split(':');
  const volume = await readFloats(client(), displaySet);
  const id = `${scheme}:${displaySet.displaySetInstanceUID}`;
  await window.cornerstone.cache.putVolumeLoadObject(id, { promise: Promise.resolve(volume) });
  Object.assign(displaySet, { loading: false, isLoaded: true });
  const event = segmentationService.EVENTS.SEGMENTATION_LOADING_COMPLETE;
  segmentationService._broadcastEvent(event, { pmapDisplaySet: displaySet });
  return volume;
}

// OHIF opens a map on the middle slice, wherever its values are: it opens where they are highest, of
// equal slices on the first in depth, as in the node's own view.
function strongestSlice({ imageIds, voxelManager, dimensions }) {
  const values = voxelManager.getCompleteScalarDataArray();
  const size = dimensions[0] * dimensions[1];
  let best;
  imageIds.forEach((imageId, slice) => {
    const sum = values.subarray(slice * size, (slice + 1) * size).reduce((all, one) => all + one, 0);
    const at = depth(imageId);
    if (!best || sum > best.sum || (sum === best.sum && at < best.at)) best = { sum, at, imageId };
  });
  return best?.imageId;
}

// OHIF keeps a hundred times the values, colours those from 0 to 1, and hides the image wherever there
// is any. The colours are those of the window that the map names, and the lower a value, the fainter.
const FAINT = [0, 0.25, 0.5, 0.75];

function coloursOf({ SharedFunctionalGroupsSequence: shared }) {
  const { WindowCenter, WindowWidth } = [[shared].flat()[0]?.FrameVOILUTSequence].flat()[0] || {};
  const [center, width] = [WindowCenter, WindowWidth].map(one => 100 * [one].flat()[0]);
  if (!(width > 0)) return {};
  const [lower, upper] = [center - width / 2, center + width / 2];
  const last = FAINT.length - 1;
  const opacity = FAINT.map((faint, at) => ({ value: lower + (at / last) * width, opacity: faint }));
  return { voiRange: { lower, upper }, colormap: { name: 'rainbow_2', opacity } };
}

const maps = new Map(); // by the id of its volume: the slice to open, once, and its colours

function placeFrames(displaySet, client, segmentationService) {
  if (displaySet.Modality !== 'PMAP') return;
  const { load, instance } = displaySet;
  const noted = volume => {
    maps.set(volume.volumeId, { slice: strongestSlice(volume), colours: coloursOf(instance) });
    return volume;
  };
  const byOhif = asked => load(asked).then(volume => putInPlace(instance, volume));
  const read = asked =>
    loadFloats(client, displaySet, segmentationService).catch(() => byOhif(asked));
  let loaded;
  displaySet.load = asked => (loaded ??= read(asked).then(noted));
}

function showMap(viewport) {
  const id = viewport?.getAllVolumeIds?.().find(one => maps.has(one));
  if (!id) return;
  const { slice, colours } = maps.get(id);
  viewport.setProperties(colours, id);
  const map = viewport.getActors().find(one => one.referencedId === id)?.actor;
  map?.getProperty().setScalarOpacityUnitDistance(0, map.getMapper().getSampleDistance());
  map?.getMapper().setBlendMode(1);
  if (slice) {
    const FrameOfReferenceUID = viewport.getFrameOfReferenceUID();
    viewport.setViewReference({ FrameOfReferenceUID, referencedImageId: slice });
    maps.set(id, { colours });
  }
  viewport.render();
}

// OHIF sets its own colours once its calls have come to an end: these come after them.
function showMaps({ cornerstoneViewportService: service }) {
  service.subscribe(service.EVENTS.VIEWPORT_VOLUMES_CHANGED, ({ viewportInfo }) => {
    setTimeout(() => showMap(service.getCornerstoneViewport(viewportInfo.viewportId)));
  });
}
