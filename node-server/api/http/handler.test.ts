import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VERSION } from '../../../lib/version.ts'
import { ETCD_API_VERSION, ETCD_CLUSTER_VERSION } from '../../version.ts'
import { base64, serve } from './testing/http-fixture.ts'

test('/version has etcd’s three and our own', async () => {
  const { get } = await serve()
  const answer = await get('/version')
  assert.deepEqual(JSON.parse(answer.body), {
    etcdserver: ETCD_API_VERSION,
    etcdcluster: ETCD_CLUSTER_VERSION,
    storage: ETCD_CLUSTER_VERSION,
    raftkv: VERSION,
  })
  assert.match(ETCD_CLUSTER_VERSION, /^3\.\d+\.0$/)
  assert.deepEqual([answer.status, answer.headers['content-type']], [200, 'application/json'])
})

test('/metrics', async () => {
  const { get } = await serve()
  const answer = await get('/metrics')
  assert.deepEqual([answer.body, answer.headers['content-type']], ['metric 1\n', 'text/plain; version=0.0.4'])
})

test('/debug/vars', async () => {
  const { get, post, member } = await serve()
  const answer = await get('/debug/vars')
  assert.deepEqual([answer.status, answer.headers['content-type']], [200, 'application/json'])
  const { term, commitIndex } = member.status()
  assert.partialDeepStrictEqual(JSON.parse(answer.body), {
    cmdline: process.argv,
    'raft.status': { term, commit: commitIndex, id: member.memberId.toString(16) },
  })
  assert.equal((await post('/debug/vars')).status, 405)
})

test('what fails inside is a 500 that tells nothing', async () => {
  const metrics = { contentType: 'text/plain', text: () => Promise.reject(new Error('secret')) }
  const { get, failures } = await serve({ metrics })
  const answer = await get('/metrics')
  assert.deepEqual([answer.status, answer.body, failures.length], [500, 'Internal Server Error\n', 1])
})

test('paths that are not there', async () => {
  const { get, post, ask } = await serve()
  for (const path of ['/', '/nope', '/v2/keys', '/version/', '/debug/pprof/', '/V3/kv/range', '/health%00', '/%']) {
    const answer = await get(path)
    assert.deepEqual([answer.status, answer.body], [404, '404 page not found\n'], path)
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
  }
  for (const path of ['/v3/', '/v3/kv/nope', '/v3/kv/put/', '/v3/kv']) {
    const answer = await post(path, '{}')
    assert.deepEqual([answer.status, JSON.parse(answer.body)], [404, { code: 5, message: 'Not Found' }], path)
  }
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const answer = await ask(method, '/v3/kv/put')
    assert.deepEqual([answer.status, JSON.parse(answer.body)], [501, { code: 12, message: 'Method Not Allowed' }])
  }
})

test('paths that Go’s router would clean are sent on', async () => {
  const { get, post } = await serve()
  for (const [path, location] of [
    ['//version', '/version'],
    ['/a/../version?x=1', '/version?x=1'],
    ['/v3', '/v3/'],
  ] as const) {
    const answer = await get(path)
    assert.deepEqual([answer.status, answer.headers.location], [307, location])
    assert.equal(answer.body, `<a href="${location}">Temporary Redirect</a>.\n\n`)
  }
  const answer = await post('//v3/kv/range', {})
  assert.deepEqual([answer.status, answer.headers.location, answer.body], [307, '/v3/kv/range', ''])
  const script = await get('//"><script>')
  assert.doesNotMatch(script.body, /<script>/)
})

test('the gateway can be switched off', async () => {
  const { post, get } = await serve({ isGatewayEnabled: false })
  assert.deepEqual((await post('/v3/kv/range', { key: base64('a') })).body, '404 page not found\n')
  assert.equal((await get('/v3')).status, 404)
  assert.equal((await get('/health')).status, 200)
})

test('CORS: all origins by default, only those named otherwise', async () => {
  const everyone = await serve()
  let answer = await everyone.get('/nope', { origin: 'http://x.example' })
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal(answer.headers['access-control-allow-methods'], 'POST, GET, OPTIONS, PUT, DELETE')
  assert.equal(answer.headers['access-control-allow-headers'], 'accept, content-type, authorization')

  const some = await serve({ corsOrigins: ['http://x.example'] })
  answer = await some.get('/version', { origin: 'http://x.example' })
  assert.equal(answer.headers['access-control-allow-origin'], 'http://x.example')
  for (const headers of [{ origin: 'http://y.example' }, undefined]) {
    answer = await some.get('/version', headers)
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, undefined])
  }
  const options = await some.ask('OPTIONS', '/anything')
  assert.deepEqual([options.status, options.body], [200, ''])
})

test('a host that is not on the list is refused, before anything else', async () => {
  const { get, port } = await serve({ hostWhitelist: ['localhost', '::1'] })
  for (const host of ['localhost', `localhost:${port}`, '[::1]:2379']) {
    assert.equal((await get('/version', { host })).status, 200, host)
  }
  for (const host of ['evil.example', 'localhost.evil.example:80', '127.0.0.1', 'localhost:1:2']) {
    const answer = await get('/version', { host })
    assert.equal(answer.status, 421, host)
    assert.match(answer.body, /--host-whitelist/)
    assert.equal(answer.headers['access-control-allow-origin'], undefined)
  }
  const any = await serve({ hostWhitelist: ['*'] })
  assert.equal((await any.get('/version', { host: 'evil.example' })).status, 200)
})
