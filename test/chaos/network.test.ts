import { until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClusterId, MemberId } from '../../lib/ids.ts'
import { encodeHello } from '../../node-server/transport/frame.ts'
import { Network } from './network.ts'

/** Long enough for bytes to come over loopback, were they not held. */
const HELD_MS = 60
const [DIALER, ACCEPTOR] = [0, 1]
const HELLO = encodeHello({
  version: 1,
  clusterId: ClusterId(1n),
  from: MemberId(10n),
  to: MemberId(11n),
  purpose: 'messages',
  peerURLs: [],
})

let echo: Server
let network: Network
let port: number
const accepted = new Set<Socket>()

beforeEach(async () => {
  echo = createServer((socket) => {
    accepted.add(socket)
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const address = echo.address()
  assert.ok(address !== null && typeof address === 'object')
  network = new Network(2)
  network.places.set(10n, DIALER).set(11n, ACCEPTOR)
  port = await network.listen(ACCEPTOR, address.port)
})
afterEach(async () => {
  await network.close()
  for (const socket of accepted) socket.destroy()
  echo.close()
})

interface Dialled {
  readonly socket: Socket
  readonly received: () => string
  readonly closed: Promise<unknown>
}

/** Connected, the hello gone and echoed, unless the link is cut. */
async function dial(): Promise<Dialled> {
  const socket = connect({ host: '127.0.0.1', port })
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => socket.destroy())
  const closed = new Promise<unknown>((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  socket.write(HELLO)
  return { socket, received: () => Buffer.concat(chunks).subarray(HELLO.length).toString(), closed }
}

for (const [name, from, to] of [
  ['there', DIALER, ACCEPTOR],
  ['back', ACCEPTOR, DIALER],
] as const) {
  test(`a link cut on the way ${name} holds what is sent, and lets it go in order when it heals`, async () => {
    const { socket, received } = await dial()
    socket.write('a')
    await until('a has come', () => received() === 'a')
    network.link(from, to).cut()
    socket.write('b')
    await sleep(HELD_MS)
    assert.equal(received(), 'a')
    socket.write('c')
    network.heal()
    await until('abc has come', () => received() === 'abc')
    assert.ok(network.link(from, to).struck > 0)
    assert.equal(network.link(to, from).struck, 0, 'the other direction is whole')
    socket.destroy()
  })
}

test('a reset ends both sides', async () => {
  const { socket, received, closed } = await dial()
  socket.write('a')
  await until('a has come', () => received() === 'a')
  assert.equal(network.reset(DIALER, ACCEPTOR), 1)
  await closed
})

test('half-open: the dialer is not told, until the line heals', async () => {
  const { socket, received, closed } = await dial()
  socket.write('a')
  await until('a has come', () => received() === 'a')
  assert.equal(network.halfOpen(ACCEPTOR, DIALER), 1)
  socket.write('b')
  assert.equal(await Promise.race([closed, sleep(HELD_MS, 'open')]), 'open')
  assert.equal(received(), 'a')
  network.heal()
  await closed
})

test('a corruption changes one bit of one portion', async () => {
  const { socket, received } = await dial()
  socket.write('a')
  await until('a has come', () => received() === 'a')
  network.link(DIALER, ACCEPTOR).corruptions = 1
  socket.write('b')
  await until('2 bytes have come', () => received().length === 2)
  assert.equal(received(), `a${String.fromCharCode('b'.charCodeAt(0) ^ 0x10)}`)
  socket.write('c')
  await until('3 bytes have come', () => received().length === 3)
  assert.equal(received().at(-1), 'c')
  socket.destroy()
})

test('who does not begin with a hello is cut off', async () => {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => socket.destroy())
  const closed = new Promise<unknown>((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  socket.write('GET / HTTP/1.1\r\n\r\n')
  socket.resume()
  await closed
})
