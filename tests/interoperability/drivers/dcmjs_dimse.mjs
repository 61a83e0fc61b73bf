// dcmjs-dimse: C-FIND, C-GET, C-MOVE to itself, C-STORE.
import { there, load, tell } from './driving.mjs';

const { Client, Server, Scp, requests, responses, constants } = load('dcmjs-dimse');
const { CFindRequest, CGetRequest, CMoveRequest } = requests;
const { CStoreResponse, CFindResponse } = responses;
const { Status, PresentationContextResult, TransferSyntax } = constants;

function run(request, onStore) {
  return new Promise((resolve, reject) => {
    const answers = [];
    const client = new Client();
    request.on('response', (response) => answers.push(response));
    client.on('networkError', reject);
    client.on('associationRejected', () => reject(new Error('the association was rejected')));
    if (onStore) client.on('cStoreRequest', onStore);
    client.on('closed', () => {
      const last = answers.at(-1);
      if (!last || last.getStatus() !== Status.Success)
        reject(new Error(`ended with status 0x${last?.getStatus().toString(16)}`));
      else resolve(answers);
    });
    client.addRequest(request);
    client.send(there.host, there.port, there.own_ae_title, there.ae_title);
  });
}

async function found(request, keyword) {
  const answers = await run(request);
  return answers.filter((one) => one.hasDataset()).map((one) => one.getDataset().getElement(keyword));
}

async function find() {
  const instances = [];
  for (const series of there.series)
    instances.push(...(await found(
      CFindRequest.createImageFindRequest({ StudyInstanceUID: there.study, SeriesInstanceUID: series, SOPInstanceUID: '' }),
      'SOPInstanceUID')));
  return {
    studies: await found(CFindRequest.createStudyFindRequest({ PatientID: there.patient_id, StudyInstanceUID: '' }), 'StudyInstanceUID'),
    series: await found(CFindRequest.createSeriesFindRequest({ StudyInstanceUID: there.study, SeriesInstanceUID: '' }), 'SeriesInstanceUID'),
    instances,
  };
}

function taker(uids) {
  return (request, callback) => {
    uids.push(request.getDataset().getElement('SOPInstanceUID'));
    const response = CStoreResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  };
}

async function get() {
  const instances = [];
  await run(CGetRequest.createStudyGetRequest(there.study), taker(instances));
  return { instances };
}

async function move() {
  const instances = [];
  const take = taker(instances);
  class Receiver extends Scp {
    associationRequested(association) {
      for (const { id } of association.getPresentationContexts()) {
        const context = association.getPresentationContext(id);
        const syntaxes = context.getTransferSyntaxUids();
        const chosen = [TransferSyntax.ExplicitVRLittleEndian, TransferSyntax.ImplicitVRLittleEndian].find((one) => syntaxes.includes(one));
        context.setResult(chosen ? PresentationContextResult.Accept : PresentationContextResult.RejectTransferSyntaxesNotSupported, chosen);
      }
      this.sendAssociationAccept();
    }
    cStoreRequest(request, callback) { take(request, callback); }
    associationReleaseRequested() { this.sendAssociationReleaseResponse(); }
  }
  const server = new Server(Receiver);
  server.on('networkError', () => undefined);
  server.listen(there.own_port);
  try {
    await run(CMoveRequest.createStudyMoveRequest(there.own_ae_title, there.study));
  } finally {
    server.close();
  }
  return { instances };
}

await tell({ find, get, move });
