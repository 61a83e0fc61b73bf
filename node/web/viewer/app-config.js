// OHIF before this node: its own DICOMweb, nothing from elsewhere, a finding opens without a question.

const params = new URLSearchParams(location.search);

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

// Two series side by side, the one that was made and the one it was made from: ?beside=<series>.
const pane = id => ({
  viewportOptions: {
    viewportType: 'stack',
    toolGroupId: 'default',
    initialImageOptions: { preset: 'middle' },
    syncGroups: [
      { type: 'imageSlice', id: 'besideSlice', source: true, target: true },
      { type: 'zoompan', id: 'besideZoom', source: true, target: true },
    ],
  },
  displaySets: [{ id }],
});
const named = attribute => ({
  seriesMatchingRules: [{ attribute, constraint: { equals: { value: true } }, required: true }],
});
const beside = {
  id: 'wetread.beside',
  name: 'Made beside its source',
  locked: true,
  numberOfPriorsReferenced: 0,
  protocolMatchingRules: [],
  toolGroupIds: ['default'],
  displaySetSelectors: { source: named('isBeside'), made: named('isDisplaySetFromUrl') },
  stages: [
    {
      name: 'beside',
      viewportStructure: { layoutType: 'grid', properties: { rows: 1, columns: 2 } },
      viewports: [pane('source'), pane('made')],
    },
  ],
};

// A segmentation of bits is read as one file, and its frames are opened from that, eight pixels at a
// time. OHIF would look for the end of the file byte by byte, send each frame to a worker and back, open
// it pixel by pixel, and turn round the bits of frames that do not end with a byte.
const filesOfBits = new Map(); // by the image id of an instance, without its frame: bytes, pixels

async function readBits(client, { instance }) {
  const { StudyInstanceUID: study, SeriesInstanceUID: series, SOPInstanceUID: uid } = instance;
  const address = `${client.wadoURL}/studies/${study}/series/${series}/instances/${uid}`;
  const headers = { ...client.headers, Accept: 'application/dicom' };
  const answer = await fetch(address, { headers });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const pixels = instance.Rows * instance.Columns;
  return { pixels, bytes: bitsAtEnd(await answer.arrayBuffer(), pixels * instance.NumberOfFrames) };
}

// Pixel data are what a segmentation ends with: tag, VR and length say whether they are.
function bitsAtEnd(file, count) {
  const length = 2 * Math.ceil(count / 16);
  const at = file.byteLength - length - 12;
  const head = at > 0 && new DataView(file, at, 12);
  const isPixelData =
    head &&
    head.getUint32(0) === 0xe07f1000 &&
    [0x4f42, 0x4f57].includes(head.getUint16(4)) && // OB, OW
    head.getUint32(8, true) === length;
  if (!isPixelData) throw new Error('the file does not end with its pixel data');
  return new Uint8Array(file, at + 12, length);
}

const FOUR = Uint32Array.from({ length: 16 }, (_, four) =>
  [0, 1, 2, 3].reduce((sum, bit) => sum + ((four >> bit) & 1) * 2 ** (8 * bit), 0)
);

function openBits({ bytes, pixels }, frame) {
  const opened = new Uint32Array(2 * Math.ceil(pixels / 8));
  const [begin, shift] = [Math.floor((frame * pixels) / 8), (frame * pixels) % 8];
  for (let at = 0; at < opened.length / 2; at++) {
    let eight = bytes[begin + at];
    if (shift) eight = ((eight >> shift) | (bytes[begin + at + 1] << (8 - shift))) & 255;
    if (!eight) continue;
    opened[2 * at] = FOUR[eight & 15];
    opened[2 * at + 1] = FOUR[eight >> 4];
  }
  return new Uint8Array(opened.buffer, 0, pixels);
}

// So long frames are opened without a pause in which the page answers.
const AT_ONCE_MS = 20;
let paused = 0;

async function openFrame(file, imageId) {
  if (performance.now() - paused > AT_ONCE_MS) {
    await new Promise(done => setTimeout(done));
    paused = performance.now();
  }
  const labels = openBits(file, imageId.split('/frames/')[1] - 1);
  return { imageId, sizeInBytes: labels.length, voxelManager: {}, getPixelData: () => labels };
}

function openFromFiles() {
  const { cache } = window.cornerstone;
  const kept = cache.getImageLoadObject.bind(cache);
  cache.getImageLoadObject = id => {
    const file = filesOfBits.size && filesOfBits.get(id.split('/frames/')[0]);
    return file ? { promise: openFrame(file, id) } : kept(id);
  };
}

function readByBits({ retrieve }) {
  const whole = retrieve?.prefetchInstanceFrames;
  if (!whole || whole.isGuarded) return;
  retrieve.prefetchInstanceFrames = asked => {
    const { BitsAllocated, Rows, Columns } = asked.instance || {};
    if (BitsAllocated !== 1 || !asked.imageId) return whole(asked);
    const key = asked.imageId.split('/frames/')[0];
    const read = readBits(retrieve.getWadoDicomWebClient(), asked);
    const kept = read.then(file => filesOfBits.set(key, file) && true);
    const otherwise = () => (Rows * Columns) % 8 === 0 && whole(asked).done; // else frame by frame
    return { done: kept.catch(otherwise), cancel: () => filesOfBits.delete(key) };
  };
  retrieve.prefetchInstanceFrames.isGuarded = true;
}

// One WebGL context for all viewports, as on phones. OHIF would make seven before it shows anything.
function useOneContext() {
  const { getConfiguration, setConfiguration } = window.cornerstone;
  const now = getConfiguration();
  setConfiguration({ ...now, rendering: { ...now.rendering, webGlContextCount: 1 } });
}

// OHIF scrolls to a slice that is not loaded yet 40 ms later, also on a viewport that it has replaced
// meanwhile (after a change of size, at once with a segmentation): its box of errors would cover all.
function forgetScrollsOfReplaced() {
  const { eventTarget, getRenderingEngine, Enums } = window.cornerstone;
  eventTarget.addEventListener(Enums.Events.ELEMENT_DISABLED, ({ detail }) => {
    const viewport = getRenderingEngine(detail.renderingEngineId)?.getViewport(detail.viewportId);
    if (viewport) clearTimeout(viewport.debouncedTimeout);
  });
}

// OHIF lays the frames of a parametric map over the slices in the order of the file, wherever they
// lie: upside down where file and stack run against each other. They are put where they belong.
function putInPlace({ instance }, volume) {
  const { metaData } = window.cornerstone;
  const normal = [...volume.direction].slice(6);
  const along = place => normal.reduce((sum, part, axis) => sum + part * place[axis], 0);
  const slices = volume.imageIds.map(id =>
    along(metaData.get('imagePlaneModule', id).imagePositionPatient)
  );
  const values = volume.voxelManager.getCompleteScalarDataArray();
  const size = volume.dimensions[0] * volume.dimensions[1];
  const placed = new values.constructor(values.length);
  instance.PerFrameFunctionalGroupsSequence.forEach((frame, from) => {
    const place = along(frame.PlanePositionSequence[0].ImagePositionPatient);
    const to = slices.findIndex(slice => Math.abs(slice - place) < volume.spacing[2] / 2);
    if (to >= 0) placed.set(values.subarray(from * size, (from + 1) * size), to * size);
  });
  volume.voxelManager.setCompleteScalarDataArray(placed);
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

function placeFrames(displaySet) {
  if (displaySet.Modality !== 'PMAP') return;
  const { load, instance } = displaySet;
  const place = volume => {
    putInPlace(displaySet, volume);
    maps.set(volume.volumeId, { slice: strongestSlice(volume), colours: coloursOf(instance) });
    return volume;
  };
  let loaded;
  displaySet.load = asked => (loaded ??= load(asked).then(place));
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

// OHIF takes the distance between rows for that between columns and the other way round when it places
// the points of a report (imageToWorldCoords): with pixels that are not square a shape would lie beside
// its organ. The points are given so that they come to lie where they are.
let planeOf = () => undefined; // of an image that a report refers to, once a study is open
const placed = new WeakSet();

function placePoints(coordinates) {
  const { GraphicData: points, ReferencedSOPSequence: referred } = coordinates;
  const image = [referred].flat()[0];
  if (!points || !image || placed.has(coordinates)) return;
  const { rowPixelSpacing: rows, columnPixelSpacing: columns } = planeOf(image) || {};
  if (!rows || !columns) return;
  const scale = [columns / rows, rows / columns];
  coordinates.GraphicData = [...points].map((at, index) => (at - 0.5) * scale[index % 2] + 0.5);
  placed.add(coordinates);
}

// A measurement that refers to a segment alone has no coordinates: OHIF's reader needs a place.
function readMeasurement({ measurement }) {
  if (!measurement.coords.length) return { ...measurement, coords: [{}] };
  measurement.coords.filter(one => one.ValueType === 'SCOORD').forEach(placePoints);
  return measurement;
}

function planes({ displaySetService }, [source]) {
  return ({ ReferencedSOPInstanceUID: uid, ReferencedFrameNumber: number }) => {
    const instances = displaySetService.getActiveDisplaySets().flatMap(one => one.instances || []);
    const instance = instances.find(one => one.SOPInstanceUID === uid);
    if (!instance) return undefined;
    const frame = [number].flat()[0];
    const imageId = source.getImageIdsForInstance({ instance, frame });
    return window.cornerstone.metaData.get('imagePlaneModule', imageId);
  };
}

const wetread = {
  id: 'wetread',
  preRegistration({ servicesManager }) {
    const { hangingProtocolService } = servicesManager.services;
    const isBeside = displaySet => displaySet.SeriesInstanceUID === params.get('beside');
    hangingProtocolService.addCustomAttribute('isBeside', 'Source of what was made', isBeside);
    useOneContext();
    forgetScrollsOfReplaced();
    openFromFiles();
  },
  getHangingProtocolModule: () => [{ name: beside.id, protocol: beside }],
  onModeEnter({ servicesManager, extensionManager }) {
    const sources = extensionManager.getActiveDataSource();
    sources.forEach(readByBits);
    planeOf = planes(servicesManager.services, sources);
    const { displaySetService, segmentationService } = servicesManager.services;
    const added = displaySetService.EVENTS.DISPLAY_SETS_ADDED;
    displaySetService.subscribe(added, ({ displaySetsAdded }) => displaySetsAdded.forEach(placeFrames));
    showMaps(servicesManager.services);
    const loaded = segmentationService.EVENTS.SEGMENTATION_LOADING_COMPLETE;
    segmentationService.subscribe(loaded, ({ segDisplaySet }) => {
      const slice = segDisplaySet && keySlice(segDisplaySet);
      if (slice) segDisplaySet.firstSegmentedSliceImageId = slice;
    });
  },
};

window.config = {
  name: 'wetread',
  routerBasename: null,
  extensions: [wetread],
  modes: [],
  showStudyList: false, // the node's own list stands at /
  whiteLabeling: {
    createLogoComponentFn: React =>
      React.createElement(
        'a',
        { href: '/', title: 'Back to the list of studies', className: 'text-primary px-2 text-lg' },
        '← Wetread'
      ),
  },
  customizationService: {
    'ohif.tours': { $set: [] }, // eleven steps that cover the first picture
    'segmentation.store.defaultMode': { $set: '%segmentations_as%' },
    onBeforeSRAddMeasurement: { $set: readMeasurement },
  },
  disableConfirmationPrompts: true, // a segmentation is shown at once
  investigationalUseDialog: { option: 'never' },
  maxNumberOfWebWorkers: 3,
  showWarningMessageForCrossOrigin: true,
  showCPUFallbackMessage: true,
  showLoadingIndicator: true,
  experimentalStudyBrowserSort: false,
  strictZSpacingForVolumeViewport: true,
  groupEnabledModesFirst: true,
  allowMultiSelectExport: false,
  maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
  showErrorDetails: 'always',
  defaultDataSourceName: 'wetread',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'wetread',
      configuration: {
        friendlyName: 'Wetread',
        name: 'wetread',
        wadoUriRoot: '/dicom-web/wado',
        qidoRoot: '/dicom-web',
        wadoRoot: '/dicom-web',
        qidoSupportsIncludeField: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'thumbnail', // made by the node: here each would be drawn by WebGL
        thumbnailRequestStrategy: 'fetch',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        dicomUploadEnabled: false,
        singlepart: 'bulkdata,video',
        bulkDataURI: { enabled: true, relativeResolution: 'studies' },
        omitQuotationForMultipartRequest: true,
      },
    },
  ],
  httpErrorHandler: error => {
    if (error.status === 401) location.reload(); // the login has ended: its page comes instead
    console.warn(error.status);
  },
};
