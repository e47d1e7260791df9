// Drives @azure/storage-blob through the broker: `node blob.js '{"connection":..,"container":..}'`.
// Prints one JSON object: what each step gave.
'use strict';
const { BlobServiceClient } = require('@azure/storage-blob');

const at = JSON.parse(process.argv[2]);
const service = BlobServiceClient.fromConnectionString(at.connection, { retryOptions: { maxTries: 1 } });
const container = service.getContainerClient(at.container);

const shown = (e) => ({ status: e.statusCode, code: e.code, message: e.message });

async function attempt(work) {
  try {
    return { got: await work() };
  } catch (error) {
    return { error: shown(error) };
  }
}

async function text(name, offset, count) {
  const answer = await container.getBlobClient(name).download(offset, count);
  const pieces = [];
  for await (const piece of answer.readableStreamBody) pieces.push(piece);
  return Buffer.concat(pieces).toString('latin1');
}

async function names(items) {
  const found = [];
  for await (const item of items) found.push(item.name);
  return found;
}

async function pages(size) {
  const found = [];
  for await (const page of container.listBlobsFlat().byPage({ maxPageSize: size })) {
    found.push(page.segment.blobItems.map((item) => item.name));
  }
  return found;
}

async function staged() {
  const blob = container.getBlockBlobClient('drafts/staged');
  const id = (n) => Buffer.from(`block-${n}`).toString('base64');
  await blob.stageBlock(id(1), 'one ', 4);
  await blob.stageBlock(id(2), 'two', 3);
  const before = (await blob.getBlockList('uncommitted')).uncommittedBlocks.map((block) => block.size);
  await blob.commitBlockList([id(1), id(2)]);
  return { before, after: await text('drafts/staged') };
}

async function large() {
  const sent = Buffer.alloc(6 << 20, 'a line of a draft\n');
  const blob = container.getBlockBlobClient('drafts/large');
  await blob.uploadData(sent, { blockSize: 1 << 20, concurrency: 4, maxSingleShotSize: 1 << 20 });
  const got = await blob.downloadToBuffer(0, undefined, { blockSize: 1 << 20, concurrency: 4 });
  return got.equals(sent);
}

async function properties() {
  const blob = container.getBlockBlobClient('drafts/described');
  await blob.upload('described', 9, { blobHTTPHeaders: { blobContentType: 'text/plain' }, metadata: { owner: 'ada@example.com' } });
  await blob.setMetadata({ owner: 'ada@example.com', kind: 'draft' });
  const found = await blob.getProperties();
  return { length: found.contentLength, type: found.contentType, metadata: found.metadata };
}

async function batch() {
  await container.getBlockBlobClient('drafts/b1').upload('x', 1);
  const urls = ['drafts/b1', 'secret/key.txt'].map((name) => container.getBlobClient(name).url);
  const done = await service.getBlobBatchClient().deleteBlobs(urls, service.credential);
  return done.subResponses.map((answer) => answer.status);
}

async function leased() {
  const blob = container.getBlockBlobClient('drafts/leased');
  await blob.upload('one', 3);
  const lease = blob.getBlobLeaseClient();
  await lease.acquireLease(15);
  const refused = await attempt(() => blob.upload('two', 3));
  await lease.releaseLease();
  return refused.error;
}

async function main() {
  const said = {};
  said.names = await attempt(() => names(container.listBlobsFlat()));
  said.pages = await attempt(() => pages(2));
  said.prefixes = await attempt(() => names(container.listBlobsByHierarchy('/')));
  said.containers = await attempt(() => names(service.listContainers()));
  said.whole = await attempt(() => text('people.csv'));
  said.ranges = await attempt(async () => {
    const pieces = [];
    for (let offset = 0; offset < at.size; offset += 977) pieces.push(await text('people.csv', offset, 977));
    return pieces.join('');
  });
  said.buffered = await attempt(async () => {
    const options = { blockSize: 4096, concurrency: 6 };
    return (await container.getBlobClient('people.csv').downloadToBuffer(0, undefined, options)).toString('latin1');
  });
  said.uploaded = await attempt(async () => {
    await container.getBlockBlobClient('drafts/small').upload('a draft', 7);
    return text('drafts/small');
  });
  said.staged = await attempt(staged);
  said.large = await attempt(large);
  said.properties = await attempt(properties);
  said.batch = await attempt(batch);
  said.leased = await attempt(leased);
  said.removed = await attempt(async () => {
    await container.getBlobClient('drafts/small').delete();
    return container.getBlobClient('drafts/small').exists();
  });
  said.card = await attempt(() => container.getBlockBlobClient('drafts/card').upload('4111 1111 1111 1111', 19));
  said.secret = await attempt(() => text('secret/key.txt'));
  said.missing = await attempt(() => text('nothing.txt'));
  said.elsewhere = await attempt(() => container.getBlockBlobClient('final.txt').upload('x', 1));
  return said;
}

main().then((said) => process.stdout.write(JSON.stringify(said)), (failed) => {
  process.stderr.write(`${failed.stack}\n`);
  process.exit(1);
});
