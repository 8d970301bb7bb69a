/** What a connection to an API server outlives: rotated tokens, and load balancers that end HTTP/2 sessions. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../lib/system-clock.ts'
import { selfSignedFiles } from '../../node-server/tls/self-signed.ts'
import { KubeClient } from '../../operator/kube/client.ts'
import { KubeConfigConnection } from '../../operator/kube/connection.ts'
import { fileConfig } from '../../operator/kube/kube-config.ts'
import { Transport } from '../../operator/kube/transport.ts'
import { answer } from './faulty-proxy.ts'
import { NAMESPACE, startPlumbing } from './plumbing.ts'

function folder(t: { after: (fn: () => void) => void }): string {
  const path = mkdtempSync(join(tmpdir(), 'plumbing-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

const kubeconfig = (cluster: Record<string, unknown>, user: Record<string, unknown>): unknown => ({
  clusters: [{ name: 'c', cluster }],
  users: [{ name: 'u', user }],
  contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  'current-context': 'x',
})

test('token rotation: a token that the server accepts no more is read afresh, and no call fails', async (t) => {
  const { proxy, server } = await startPlumbing(t)
  const directory = folder(t)
  const tokenFile = join(directory, 'token')
  const rotate = (token: string): void => {
    writeFileSync(tokenFile, token)
    proxy.rule = ({ authorization }) => (authorization === `Bearer ${token}` ? undefined : answer(401, 'Unauthorized'))
  }
  assert.ok(server.port > 0)
  const address = proxy.address
  const load = () =>
    fileConfig(
      kubeconfig({ server: address, 'insecure-skip-tls-verify': true }, { token: readFileSync(tokenFile, 'utf8') }),
      directory,
    )
  // The server behind knows one token; the proxy stands for one that rotates them.
  rotate('test')
  const connection = new KubeConfigConnection(systemClock, load)
  t.after(async () => connection.close())
  const client = new KubeClient(new Transport({ connection, clock: systemClock }))
  await client.list('ConfigMap', { namespace: NAMESPACE })
  proxy.replaceToken = 'Bearer test'
  for (const token of ['second', 'third']) {
    rotate(token)
    await client.list('ConfigMap', { namespace: NAMESPACE })
    await client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: NAMESPACE, name: token } })
  }
  assert.equal(proxy.struck.get('answer'), 2, 'each rotation cost one refused request')
})

test('GOAWAY: HTTP/2 is not spoken even to a server that offers it, so no one frame can end all watches', async (t) => {
  const directory = folder(t)
  const { certFile, keyFile } = await selfSignedFiles(join(directory, 'tls'), ['127.0.0.1'], 1)
  const versions: string[] = []
  const serve = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    versions.push(request.httpVersion)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: [] }))
  }
  const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile), allowHTTP1: true }
  const server = createSecureServer(tls, serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address !== 'string')
  const cluster = { server: `https://127.0.0.1:${address.port}`, 'certificate-authority': certFile }
  const load = () => fileConfig(kubeconfig(cluster, { token: 'x' }), directory)
  const connection = new KubeConfigConnection(systemClock, load)
  t.after(async () => {
    await connection.close()
    server.close()
  })
  const client = new KubeClient(new Transport({ connection, clock: systemClock }))
  for (let i = 0; i < 3; i++) await client.list('Pod', { namespace: NAMESPACE })
  assert.deepEqual(versions, ['1.1', '1.1', '1.1'])
})
