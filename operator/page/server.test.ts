import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { request } from 'undici'
import { z } from 'zod'
import { ManualClock } from '../../lib/testing/manual-clock.ts'
import { until } from '../../lib/testing/until.ts'
import { parseStatus } from '../api/status.ts'
import type { Look } from '../cluster/look.ts'
import { closeServer } from '../probes.ts'
import { MAX_VIEWERS, SLOW_VIEWER_MS, TELL_EVERY_MS } from './limits.ts'
import { createPage, type Page } from './page.ts'

const sockets = new WeakMap<Server, Set<Socket>>()

function connections(server: Server): readonly Socket[] {
  return [...(sockets.get(server) ?? [])]
}

const HOSTILE = '</script><img src=x onerror=alert(1)>'

interface Served {
  readonly page: Page
  readonly clock: ManualClock
  readonly url: string
  readonly server: Server
  readonly known: { apiVersion: string; kind: string; metadata: { namespace: string; name: string; uid: string } }[]
}

async function serve(t: TestContext, { isWorking = true } = {}): Promise<Served> {
  const clock = new ManualClock()
  const known = ['kv', HOSTILE].map((name) => ({ apiVersion: 'a/v1', kind: 'K', metadata: { namespace: 'ns', name, uid: name } })) // prettier-ignore
  const page = createPage({ clock, version: '1.2.3', clusters: () => known, isWorking: () => isWorking })
  const server = await page.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => closeServer(server))
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  sockets.set(server, open)
  return { page, clock, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, known }
}

function lookAt(name: string, atMs: number, leader = 'kv-0'): Look {
  const status = parseStatus({ clusterID: 'c', configIndex: 1, term: 1, commitIndex: atMs, leader })
  return { namespace: 'ns', name, uid: name, atMs, replicas: 3, isBeingDeleted: false, waitsFor: '', members: new Map(), status } // prettier-ignore
}

const SentState = z.object({
  version: z.string(),
  elsewhere: z.string().optional(),
  clusters: z.array(z.object({ name: z.string(), state: z.string(), leader: z.string() })),
  gone: z.array(z.string()).default([]),
})

interface Stream {
  /** Undefined: the stream has ended. */
  readonly next: () => Promise<{ readonly event: string; readonly data: z.output<typeof SentState> } | undefined>
  readonly response: IncomingMessage
}

/** What it is told, one message after another. */
async function follow(t: TestContext, url: string): Promise<Stream> {
  const asked = httpRequest(`${url}/events`).end()
  t.after(() => asked.destroy())
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  let buffered = ''
  const chunks = response.setEncoding('utf8')[Symbol.asyncIterator]()
  const next: Stream['next'] = async () => {
    for (;;) {
      const end = buffered.indexOf('\n\n')
      if (end === -1) {
        const { value, done } = await chunks.next()
        if (done === true) return undefined
        buffered += String(value)
        continue
      }
      const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(buffered.slice(0, end)) ?? []
      buffered = buffered.slice(end + 2)
      if (event !== '') return { event, data: SentState.parse(JSON.parse(data)) }
    }
  }
  return { response, next }
}

test('a viewer is told everything, then once a second what has changed', async (t) => {
  const { page, clock, url, known } = await serve(t)
  page.looked(lookAt('kv', 1))
  const { response, next } = await follow(t, url)
  assert.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8')
  const first = await next()
  assert.deepEqual([first?.event, first?.data.version, first?.data.clusters.length], ['everything', '1.2.3', 2])
  await clock.advance(TELL_EVERY_MS) // what had changed by then is told once more
  await next()
  for (const leader of ['kv-1', 'kv-2']) page.looked(lookAt('kv', 2, leader))
  await clock.advance(TELL_EVERY_MS)
  const second = await next()
  assert.deepEqual([second?.event, second?.data.clusters.map(({ leader }) => leader)], ['changes', ['kv-2']])
  known.shift()
  await clock.advance(TELL_EVERY_MS)
  assert.deepEqual((await next())?.data.gone, ['ns/kv'])
})

test('nothing is written while nothing changes, but a sign of life every 15 s', async (t) => {
  const { clock, server, url } = await serve(t)
  const { next } = await follow(t, url)
  await next()
  await clock.advance(TELL_EVERY_MS)
  const [socket] = connections(server)
  const writtenBytes = socket?.bytesWritten ?? 0
  await clock.advance(10_000)
  assert.equal(socket?.bytesWritten, writtenBytes)
  await clock.advance(10_000)
  assert.ok((socket?.bytesWritten ?? 0) > writtenBytes)
})

test('there are as many viewers as there may be; whoever comes later can ask, and gets a place that is free again', async (t) => {
  const { url } = await serve(t)
  const viewers = await Promise.all(Array.from({ length: 500 }, () => follow(t, url)))
  const served = viewers.filter(({ response }) => response.statusCode === 200)
  assert.equal(served.length, MAX_VIEWERS)
  const refused = viewers.find(({ response }) => response.statusCode === 503)
  assert.equal(refused?.response.headers['retry-after'], '10')
  const asked = await request(`${url}/clusters.json`)
  assert.equal(SentState.parse(await asked.body.json()).clusters.length, 2)
  served[0]?.response.destroy()
  for (let tries = 0; (await follow(t, url)).response.statusCode !== 200; tries++) assert(tries < 1000)
})

test('a viewer that takes nothing is told everything once it does, and dropped after 30 s', async (t) => {
  const { page, clock, server, known } = await serve(t)
  const waitingFor = (): readonly number[] =>
    connections(server).flatMap(({ writableLength }) => (writableLength > 0 ? [writableLength] : []))
  // Enough that the kernel does not take it all.
  for (let i = 0; i < 4000; i++) known.push({ apiVersion: 'a/v1', kind: 'K', metadata: { namespace: 'ns', name: `${'x'.repeat(4000)}-${i}`, uid: '' } }) // prettier-ignore
  const { port } = server.address() as AddressInfo
  const sockets = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')] as const
  for (const socket of sockets) {
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.pause()
    socket.write('GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n')
  }
  const [slow, stuck] = sockets
  await until('both are behind', () => waitingFor().length === 2)
  const waiting = waitingFor()
  for (let i = 1; i < SLOW_VIEWER_MS / TELL_EVERY_MS; i++) {
    page.looked(lookAt('kv', i))
    await clock.advance(TELL_EVERY_MS)
  }
  assert.deepEqual(waitingFor(), waiting, 'nothing is added')
  let toldOfAll = 0
  let tail = ''
  slow.setEncoding('utf8').on('data', (chunk: string) => {
    toldOfAll += (tail + chunk).split('event: everything').length - 1
    tail = chunk.slice(-16)
  })
  slow.resume()
  await until('it has taken what it was told', () => waitingFor().length === 1)
  await clock.advance(2 * TELL_EVERY_MS)
  await until('it is told everything once more', () => toldOfAll === 2)
  await until('the other is dropped', () => connections(server).length === 1)
  stuck.resume()
})

test('what is served is for this page alone, and for looking', async (t) => {
  const { page, url } = await serve(t)
  page.looked(lookAt('kv', 1))
  page.looked(lookAt(HOSTILE, 1))
  for (const path of [
    '/',
    '/page.css',
    '/page.js',
    '/element.js',
    '/graph.js',
    '/text.js',
    '/icon.svg',
    '/clusters.json',
  ]) {
    const { statusCode, headers, body } = await request(url + path)
    await body.dump()
    assert.equal(statusCode, 200, path)
    assert.match(String(headers['content-security-policy']), /^default-src 'self'; /)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['access-control-allow-origin'], undefined)
  }
  const history = await request(`${url}/history/ns/${encodeURIComponent(HOSTILE)}.json`)
  assert.deepEqual(await history.body.json(), { leaders: ['kv-0'], points: [[1, 1, 1, 0]] })
  const missing = await request(`${url}/history/ns/none.json`)
  assert.equal(missing.statusCode, 404)
  await missing.body.dump()
  for (const path of ['/../config.ts', '/%2e%2e/config.ts', '/..%2fconfig.ts', '/.hidden'])
    assert.notEqual(await statusOf(url, path, {}), 200, path)
  assert.equal(await statusOf(url, '/clusters.json', { method: 'POST' }), 405)
  assert.equal(await statusOf(url, '/clusters.json', { headers: { host: 'evil.example' } }), 421)
  assert.equal(await statusOf(url, '/clusters.json', { headers: { host: 'localhost:8082' } }), 200)
  assert.equal(await statusOf(url, '/clusters.json', { headers: { host: '[::1]:8082' } }), 200)
})

test('a copy that stands by says which one works', async (t) => {
  const { page, url } = await serve(t, { isWorking: false })
  page.leaderSeen('raftkv-operator-5d8f_ab_7c0e')
  const { body } = await request(`${url}/clusters.json`)
  assert.equal(SentState.parse(await body.json()).elsewhere, 'raftkv-operator-5d8f_ab')
})

async function statusOf(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string> },
): Promise<number | undefined> {
  // prettier-ignore
  const { port } = new URL(url)
  const asked = httpRequest({ host: '127.0.0.1', port, path, ...options }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}
