// dcmjs-dimse as a peer of tests: `echo PORT`, `store PORT FILE...`, or `scp PORT FOLDER NODE`, which stores what comes
// below FOLDER as it came, answers C-FIND with the study of the files there, and C-MOVE by sending them to port NODE.
const fs = require('fs');
const path = require('path');
const { Client, Dataset, Scp, Server, constants, log, requests, responses } = require('dcmjs-dimse');

const { PresentationContextResult, SopClass, Status } = constants;
log.setLevel('silent');

// Statuses of all responses, in order of their requests.
function ask(port, asked, title) {
  return new Promise((resolve, reject) => {
    const client = new Client();
    const statuses = [];
    for (const request of asked) {
      request.on('response', (response) => statuses.push(response.getStatus()));
      client.addRequest(request);
    }
    client.on('networkError', reject);
    client.on('associationRejected', (result) => reject(new Error(`rejected ${JSON.stringify(result)}`)));
    client.on('closed', () => resolve(statuses));
    client.send('127.0.0.1', port, title, 'ROUTER');
  });
}

class Peer extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    this.sendAssociationAccept();
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }

  createDatasetFromStoreWritableStream(stream, context, callback) {
    this.came = stream.toBuffer();
    super.createDatasetFromStoreWritableStream(stream, context, callback);
  }

  cEchoRequest(request, callback) {
    callback(answer(responses.CEchoResponse, request, Status.Success));
  }

  cStoreRequest(request, callback) {
    fs.writeFileSync(path.join(Peer.folder, `${request.getAffectedSopInstanceUid()}.raw`), this.came);
    callback(answer(responses.CStoreResponse, request, Status.Success));
  }

  cFindRequest(request, callback) {
    const files = held();
    const asked = request.getDataset().getElement('StudyInstanceUID');
    const found = files.map((file) => Dataset.fromFile(file).getElement('StudyInstanceUID'));
    const pending = answer(responses.CFindResponse, request, Status.Pending);
    pending.setDataset(
      new Dataset({
        QueryRetrieveLevel: 'STUDY',
        StudyInstanceUID: asked,
        NumberOfStudyRelatedInstances: String(found.length),
      })
    );
    const final = answer(responses.CFindResponse, request, Status.Success);
    callback(found.includes(asked) ? [pending, final] : [final]);
  }

  cMoveRequest(request, callback) {
    const files = held();
    const stores = files.map((file) => new requests.CStoreRequest(file));
    ask(Peer.node, stores, 'PACS').then((statuses) => {
      const final = answer(responses.CMoveResponse, request, Status.Success);
      final.setCompleted(statuses.filter((status) => status === Status.Success).length);
      callback([final]);
    });
  }
}

function held() {
  return fs.readdirSync(Peer.folder).filter((name) => name.endsWith('.dcm')).map((name) => path.join(Peer.folder, name));
}

function answer(kind, request, status) {
  const response = kind.fromRequest(request);
  response.setStatus(status);
  return response;
}

function told(statuses) {
  console.log(JSON.stringify(statuses));
}

const [what, port, ...rest] = process.argv.slice(2);
if (what === 'scp') {
  [Peer.folder, Peer.node] = [rest[0], Number(rest[1])];
  new Server(Peer).listen(Number(port));
} else {
  const asked = what === 'echo' ? [new requests.CEchoRequest()] : rest.map((file) => new requests.CStoreRequest(file));
  ask(Number(port), asked, 'DCMJS').then(told, (error) => {
    console.error(String(error));
    process.exit(1);
  });
}
