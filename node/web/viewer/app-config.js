// OHIF before this node: its own DICOMweb, nothing from elsewhere, a finding opens without a question.
window.config = {
  name: 'wetread',
  routerBasename: null,
  extensions: [],
  modes: [],
  showStudyList: false, // the node's own list stands at /
  whiteLabeling: {
    createLogoComponentFn: React =>
      React.createElement('a', { href: '/', title: 'Back to the list of studies' }, 'Wetread'),
  },
  customizationService: {
    'ohif.tours': { $set: [] }, // eleven steps that cover the first picture
    'segmentation.store.defaultMode': { $set: '%segmentations_as%' },
    // A measurement that refers to a segment alone has no coordinates: OHIF's reader needs a place.
    onBeforeSRAddMeasurement: {
      $set: ({ measurement }) =>
        measurement.coords.length ? measurement : { ...measurement, coords: [{}] },
    },
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
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        dicomUploadEnabled: false,
        singlepart: 'bulkdata,video',
        bulkDataURI: { enabled: true, relativeResolution: 'studies' },
        omitQuotationForMultipartRequest: true,
      },
    },
  ],
  httpErrorHandler: error => console.warn(error.status),
};
