import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { startApiServer, type ApiServer } from './main.ts'

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
/** More than sockets of the loopback hold, and less than a client may leave unread. */
const UNREAD = { objects: 12, bytes: 1_000_000 }

async function create(api: ApiServer, name: string): Promise<void> {
  const body = JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: { a: 'x'.repeat(UNREAD.bytes) },
  })
  const answer = await fetch(api.url + CONFIG_MAPS, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  await answer.body?.cancel()
  assert.equal(answer.status, 201)
}

/** A client that has read the head of the answer, and reads no more. */
async function slowWatch(api: ApiServer, query: string): Promise<Socket> {
  const socket = connect(api.port, '127.0.0.1')
  socket.write(`GET ${CONFIG_MAPS}?watch=1&${query} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`)
  await once(socket, 'readable')
  return socket
}

test('a watch that ends while its client is slow is sent nothing more', async (t) => {
  const api = await startApiServer({ listen: { host: '127.0.0.1', port: 0 }, adminToken: 't' })
  t.after(() => api.close())
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const client = await slowWatch(api, 'timeoutSeconds=10&allowWatchBookmarks=true')
  t.after(() => client.destroy())
  for (let count = 0; count < UNREAD.objects; count++) await create(api, `unread-${count}`)
  t.mock.timers.tick(10_000)
  // Written after its end it would be an error that nobody catches.
  await create(api, 'after-the-end')
})

test('a client that leaves too much unread is let go, and gets no bookmark at its time limit', async (t) => {
  const api = await startApiServer({ listen: { host: '127.0.0.1', port: 0 }, adminToken: 't' })
  t.after(() => api.close())
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const client = await slowWatch(api, 'timeoutSeconds=10&allowWatchBookmarks=true')
  t.after(() => client.destroy())
  for (let count = 0; count < 2 * UNREAD.objects; count++) await create(api, `unread-${count}`)
  t.mock.timers.tick(10_000)
  await create(api, 'after-the-end')
})
