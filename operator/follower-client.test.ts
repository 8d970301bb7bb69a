import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { encodeFollowStatus, type FollowStatus } from '../lib/follow-status.ts'
import { askFollower } from './follower-client.ts'

const STATUS: FollowStatus = { place: 's3://backups/', clusterId: 'c1', kept: { revision: 7 } }

async function served(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/status`
}

test('what a pod tells of itself is read', async (t) => {
  const url = await served(t, (_, response) => response.end(encodeFollowStatus(STATUS)))
  assert.deepEqual(await askFollower(url), { ok: true, value: STATUS })
})

test('whatever else is answered, or nothing, is told in a sentence', async (t) => {
  const saying = async (answer: RequestListener): Promise<string> => {
    const asked = await askFollower(await served(t, answer))
    return asked.ok ? 'a status' : asked.error
  }
  assert.match(await saying((_, response) => response.end('{}')), /HTTP 200 with an answer that is no status/)
  assert.match(await saying((_, response) => response.writeHead(404).end()), /HTTP 404 with an answer/)
  assert.match(await saying((_, response) => response.end('x'.repeat(100_000))), /more than 16384 bytes/)
  assert.match(await saying((request) => request.socket.destroy()), /^GET http:.*: /)
  assert.match(await saying(() => undefined), /no answer within 2000 ms/)
  const ended = new AbortController()
  ended.abort(new Error('the look has ended'))
  const asked = await askFollower('http://127.0.0.1:1/status', ended.signal)
  assert.match(asked.ok ? '' : asked.error, /^GET http:\/\/127\.0\.0\.1:1\/status: /)
})
