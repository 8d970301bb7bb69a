import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { ADMIN_PATHS } from '../../../lib/admin-api.ts'
import { ETCD_API_VERSION } from '../../version.ts'
import { idleProbes } from './probes.ts'

test('where there is no member to ask, probes say so, and nothing but them and the metrics is there', async (t) => {
  const handle = idleProbes({
    notReadyReason: () => 'waiting to be told',
    metrics: { contentType: 'text/plain', text: () => Promise.resolve('metric 1\n') },
    log: { error: () => undefined },
  })
  const server = createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const get = async (path: string, method = 'GET'): Promise<readonly [number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${address.port}${path}`, { method })
    return [answer.status, await answer.text()]
  }
  assert.deepEqual(await get('/livez?verbose'), [200, 'ok\n'])
  assert.deepEqual(await get('/readyz'), [503, 'waiting to be told\n'])
  const [status, health] = await get('/health')
  assert.deepEqual([status, JSON.parse(health)], [503, { health: 'false', reason: 'waiting to be told' }])
  assert.deepEqual(await get('/metrics'), [200, 'metric 1\n'])
  assert.match((await get('/version'))[1], new RegExp(`"etcdserver":"${ETCD_API_VERSION}"`))
  for (const path of [...Object.values(ADMIN_PATHS), '/debug/vars', '/v3/kv/range', '/', '/constructor'])
    assert.equal((await get(path))[0], 404, path)
  assert.equal((await get('/livez', 'POST'))[0], 405)
})
