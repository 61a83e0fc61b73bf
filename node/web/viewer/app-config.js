// OHIF before this node: its own DICOMweb, nothing from elsewhere, a finding opens without a question.

const params = new URLSearchParams(location.search);

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
    untilSegmentationIsDrawn();
  },
  getHangingProtocolModule: () => [{ name: beside.id, protocol: beside }],
  onModeEnter({ servicesManager, extensionManager }) {
    const sources = extensionManager.getActiveDataSource();
    sources.forEach(readByBits);
    planeOf = planes(servicesManager.services, sources);
    const { displaySetService, segmentationService } = servicesManager.services;
    const added = displaySetService.EVENTS.DISPLAY_SETS_ADDED;
    const client = () => sources[0].retrieve.getWadoDicomWebClient();
    displaySetService.subscribe(added, ({ displaySetsAdded }) =>
      displaySetsAdded.forEach(one => placeFrames(one, client, segmentationService))
    );
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
