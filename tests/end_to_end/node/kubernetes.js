// Drives @kubernetes/client-node through the broker: `node kubernetes.js '{"kubeconfig":..,"port":..}'`.
// Prints one JSON object: what each step gave.
'use strict';
const net = require('node:net');
const { PassThrough } = require('node:stream');
const k8s = require('@kubernetes/client-node');

const at = JSON.parse(process.argv[2]);
const config = new k8s.KubeConfig();
config.loadFromFile(at.kubeconfig);
const api = config.makeApiClient(k8s.CoreV1Api);
const namespace = 'default';

const shown = (e) => ({ code: e.code, message: e.message, body: e.body });
const later = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function attempt(work) {
  try {
    return { got: await work() };
  } catch (error) {
    return { error: shown(error) };
  }
}

function within(seconds, what) {
  const over = later(seconds).then(() => { throw new Error(`nothing after ${seconds} s`); });
  return Promise.race([what, over]);
}

function collected(stream) {
  const pieces = [];
  stream.on('data', (piece) => pieces.push(piece));
  return () => Buffer.concat(pieces).toString();
}

async function changes() {
  const labelled = (type) => k8s.setHeaderOptions('Content-Type', type);
  const patched = (body, type) => api.patchNamespacedConfigMap({ name: 'node', namespace, body }, labelled(type));
  await api.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'node' }, data: { a: 'b' } } });
  await patched([{ op: 'add', path: '/data/j', value: '1' }], k8s.PatchStrategy.JsonPatch);
  await patched({ data: { m: '1' } }, k8s.PatchStrategy.MergePatch);
  await patched({ data: { s: '1' } }, k8s.PatchStrategy.StrategicMergePatch);
  const found = await api.readNamespacedConfigMap({ name: 'node', namespace });
  found.data.r = '1';
  const replaced = await api.replaceNamespacedConfigMap({ name: 'node', namespace, body: found });
  await api.deleteNamespacedConfigMap({ name: 'node', namespace });
  return replaced.data;
}

// An informer lists, watches, and begins anew whenever its watch ends: what it saw, by event and name.
async function informed() {
  const seen = [];
  const list = () => api.listNamespacedConfigMap({ namespace });
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list);
  const made = (name) => api.createNamespacedConfigMap({ namespace, body: { metadata: { name } } });
  const told = (event, name) => new Promise((resolve) => {
    informer.on(event, (obj) => {
      seen.push(`${event} ${obj.metadata.name}`);
      if (obj.metadata.name === name) resolve();
    });
  });
  const errors = [];
  informer.on('error', (error) => { errors.push(String(error.message)); later(0.1).then(() => informer.start()); });
  const [added, gone] = [told('add', 'informed'), told('delete', 'informed')];
  await informer.start();
  await made('informed');
  await within(20, added);
  process.stdout.write('cut\n');
  await within(20, new Promise((resolve) => process.stdin.once('data', resolve)));
  await api.deleteNamespacedConfigMap({ name: 'informed', namespace });
  await within(20, gone);
  await informer.stop();
  return { seen, errors };
}

// An executed command: what it wrote, and its status.
async function executed(command, input) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const [shownOut, shownErr] = [collected(out), collected(err)];
  const exec = new k8s.Exec(config);
  const status = await within(20, new Promise((resolve, reject) => {
    const fed = input === undefined ? null : new PassThrough();
    exec.exec(namespace, 'web-1', 'main', command, out, err, fed, false, resolve).then((socket) => {
      socket.on('error', reject);
      if (fed) fed.end(input);
    }, reject);
  }));
  await later(0.1);
  return { out: shownOut(), err: shownErr(), status };
}

async function followed() {
  const out = new PassThrough();
  const read = collected(out);
  const controller = await new k8s.Log(config).log(namespace, 'db-1', 'main', out, { follow: true });
  const first = new Promise((resolve) => { out.on('data', () => read().includes('end') && resolve()); });
  await within(20, first);
  controller.abort();
  return read();
}

async function forwarded() {
  const forward = new k8s.PortForward(config);
  const server = net.createServer((socket) => forward.portForward(namespace, 'web-1', [at.port], socket, null, socket));
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const client = net.connect(server.address().port, '127.0.0.1');
  const sent = Buffer.alloc(100000, 'x');
  let size = 0;
  const echoed = new Promise((resolve) => client.on('data', (piece) => {
    size += piece.length;
    if (size >= sent.length) resolve(size);
  }));
  client.write(sent);
  const got = await within(20, echoed);
  client.destroy();
  server.close();
  return got;
}

const steps = {
  pods: async () => (await api.listNamespacedPod({ namespace, labelSelector: 'app=web' })).items.map((each) => each.metadata.name),
  secret: async () => (await api.readNamespacedSecret({ name: 'db-password', namespace })).data,
  config: async () => (await api.readNamespacedConfigMap({ name: 'web', namespace })).data,
  changes,
  denied: () => api.deleteNode({ name: 'node-1' }),
  maskedBack: async () => {
    const body = await api.readNamespacedSecret({ name: 'db-password', namespace });
    return api.replaceNamespacedSecret({ name: 'db-password', namespace, body });
  },
  generic: async () => {
    const client = k8s.KubernetesObjectApi.makeApiClient(config);
    const made = await client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'generic', namespace } });
    await client.delete(made);
    return made.metadata.name;
  },
  log: () => api.readNamespacedPodLog({ name: 'web-1', namespace }),
  followed,
  executed: () => executed(['sh', '-c', 'echo 4111111111111111; echo err >&2; exit 3']),
  fed: () => executed(['sh', '-c', 'read line; echo "got $line"'], 'a word\n'),
  refusedExec: () => new Promise((resolve, reject) => {
    new k8s.Exec(config).exec(namespace, 'web-2', 'main', ['true'], null, null, null, false, resolve).catch(
      (event) => reject(new Error(event.message || String(event))));
  }),
  forwarded,
  informed,
};

(async () => {
  const said = {};
  for (const [name, work] of Object.entries(steps)) said[name] = await attempt(work);
  process.stdout.write(`${JSON.stringify(said)}\n`);
  process.exit(0);
})();
