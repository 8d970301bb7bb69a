import assert from 'node:assert/strict'
import type { Server } from 'node:http'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Counter, Registry } from 'prom-client'
import { request } from 'undici'
import { closeServer, listen, metricsApp, probesApp } from './probes.ts'

async function ask(t: TestContext, server: Server, path: string): Promise<[number, string]> {
  t.after(() => closeServer(server))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const answer = await request(`http://127.0.0.1:${address.port}${path}`)
  return [answer.statusCode, await answer.body.text()]
}

const LOCAL = { host: '127.0.0.1', port: 0 }

test('a failed check is named, can be left out, and can be asked for alone', async (t) => {
  const checks = { loop: () => undefined, stores: () => 'Pod has not synced' }
  const server = await listen(probesApp({ loop: checks.loop }, checks), LOCAL)
  assert.deepEqual(await ask(t, server, '/healthz'), [200, 'ok'])
  assert.deepEqual(await ask(t, server, '/healthz?verbose'), [200, '[+]loop ok\nhealthz check passed\n'])
  const failed = '[+]loop ok\n[-]stores failed: Pod has not synced\nreadyz check failed\n'
  assert.deepEqual(await ask(t, server, '/readyz'), [503, failed])
  assert.deepEqual(await ask(t, server, '/readyz?exclude=stores'), [200, 'ok'])
  assert.deepEqual(await ask(t, server, '/readyz/loop'), [200, 'ok'])
  assert.equal((await ask(t, server, '/readyz/stores'))[0], 503)
  assert.equal((await ask(t, server, '/readyz/unknown'))[0], 404)
})

test('metrics are served in the format of Prometheus', async (t) => {
  const registry = new Registry()
  new Counter({ name: 'x_total', help: 'x', registers: [registry] }).inc(3)
  const server = await listen(metricsApp(registry), LOCAL)
  const [status, text] = await ask(t, server, '/metrics')
  assert.equal(status, 200)
  assert.match(text, /^x_total 3$/m)
})

test('an address that is taken is an error, not a silent miss', async (t) => {
  const server = await listen(probesApp({}, {}), LOCAL)
  t.after(() => closeServer(server))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  await assert.rejects(listen(probesApp({}, {}), { host: '127.0.0.1', port: address.port }), /EADDRINUSE/)
})
