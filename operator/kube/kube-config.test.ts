import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import type { ConnectionConfig } from './kube-config.ts'
import { configLoader, fileConfig, inClusterConfig } from './kube-config.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

function folder(t: { after: (fn: () => void) => void }): string {
  const path = mkdtempSync(join(tmpdir(), 'kube-config-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

const credential = JSON.stringify({ status: { token: 'from-plugin', clientCertificateData: 'PLUGIN CERT' } })

/** Cluster and user as they stand in a kubeconfig. */
const CASES: Readonly<Record<string, readonly [Record<string, unknown>, Record<string, unknown>]>> = {
  'a token': [{ 'certificate-authority-data': base64('CA') }, { token: 'secret' }],
  'client certificates': [
    { 'certificate-authority-data': base64('CA') },
    { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
  ],
  'files beside the kubeconfig': [
    { 'certificate-authority': 'ca.crt' },
    { 'client-certificate': 'tls.crt', 'client-key': 'tls.key' },
  ],
  'user and password': [{}, { username: 'me', password: 'pass' }],
  'another user': [{}, { token: 'secret', as: 'somebody' }],
  'another server name': [{ 'tls-server-name': 'kubernetes.default' }, { token: 'secret' }],
  'no verification': [{ 'insecure-skip-tls-verify': true }, { token: 'secret' }],
  'a proxy': [{ 'proxy-url': 'http://proxy:3128' }, { token: 'secret' }],
  'a credential plugin': [{}, { exec: { command: 'echo', args: [credential] } }],
  'a credential plugin beside certificates of its own': [
    {},
    { exec: { command: 'echo', args: [credential] }, 'client-certificate-data': base64('CERT') },
  ],
  'a token beside a credential plugin': [{}, { token: 'secret', exec: { command: 'echo', args: [credential] } }],
  'no credentials': [{}, {}],
}

async function answersOf(config: ConnectionConfig): Promise<unknown> {
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options)
  const { agent: _, ...applied } = options
  const cluster = config.getCurrentCluster()
  return {
    applied,
    server: cluster?.server,
    proxyUrl: cluster?.proxyUrl,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
  }
}

for (const [title, [cluster, user]] of Object.entries(CASES)) {
  test(`${title}: as the library's own KubeConfig answers`, async (t) => {
    const directory = folder(t)
    for (const name of ['ca.crt', 'tls.crt', 'tls.key']) writeFileSync(join(directory, name), `content of ${name}`)
    const config = {
      clusters: [
        { name: 'other', cluster: { server: 'https://other' } },
        { name: 'c', cluster: { server: 'https://127.0.0.1:1/prefix/', ...cluster } },
      ],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'team' } }],
      'current-context': 'x',
    }
    const path = join(directory, 'config')
    writeFileSync(path, JSON.stringify(config))
    const library = new KubeConfig()
    library.loadFromFile(path)
    assert.deepEqual(await answersOf(fileConfig(config, directory)), await answersOf(library))
    const load = await configLoader({ KUBECONFIG: path }, 'linux')
    assert.ok(!(load() instanceof KubeConfig), 'the library is not loaded for that')
    assert.deepEqual(await answersOf(load()), await answersOf(library))
  })
}

test('in a pod: the service account, as the library reads it', async (t) => {
  const directory = folder(t)
  const mount = join(directory, 'var', 'run', 'secrets', 'kubernetes.io', 'serviceaccount')
  mkdirSync(mount, { recursive: true })
  for (const name of ['ca.crt', 'token', 'namespace']) writeFileSync(join(mount, name), `the ${name}`)
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }
  const before = { ...process.env }
  t.after(() => void (process.env = before))
  process.env = { ...before, ...environment }
  const library = new KubeConfig()
  library.loadFromCluster(directory)
  assert.deepEqual(await answersOf(inClusterConfig(environment, mount)), await answersOf(library))
})

test('the whole library only for what needs it: several files, and users with an old plugin', async (t) => {
  const directory = folder(t)
  const path = join(directory, 'config')
  const user = { 'auth-provider': { name: 'gcp', config: {} } }
  const config = {
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }
  writeFileSync(path, JSON.stringify(config))
  const before = process.env['KUBECONFIG']
  t.after(() => void (before === undefined ? delete process.env['KUBECONFIG'] : (process.env['KUBECONFIG'] = before)))
  process.env['KUBECONFIG'] = path
  assert.ok((await configLoader({ KUBECONFIG: path }, 'linux'))() instanceof KubeConfig)
  const second = join(directory, 'second')
  writeFileSync(second, '{}')
  process.env['KUBECONFIG'] = `${path}:${second}`
  assert.ok((await configLoader({ KUBECONFIG: `${path}:${second}` }, 'linux'))() instanceof KubeConfig)
})

test('what is missing is said', async (t) => {
  const directory = folder(t)
  const load = await configLoader({ HOME: directory }, 'linux')
  assert.throws(load, /neither a kubeconfig .* nor a service account/)
  assert.throws(() => fileConfig({}, directory), /no current context/)
  const plain = {
    clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }],
    contexts: [{ name: 'x', context: { cluster: 'c' } }],
    'current-context': 'x',
  }
  assert.throws(() => fileConfig(plain, directory), /plain HTTP/)
  await assert.rejects(configLoader({ KUBECONFIG: join(directory, 'missing') }, 'linux'), /ENOENT/)
})
