import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { Http1 } from './http1.ts'
import { DEFAULT_LIMITS } from './limits.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

/** A connection whose requests are answered when the test says so. */
async function open(t: TestContext): Promise<{ readonly socket: Socket; readonly begun: ServerResponse[] }> {
  const begun: ServerResponse[] = []
  const http1 = new Http1(DEFAULT_LIMITS, (_request, response) => void begun.push(response))
  const server = createServer((socket) => http1.take(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  t.after(async () => {
    socket.destroy()
    server.close()
    await http1.close(0)
  })
  return { socket, begun }
}

test('requests of one connection are handled one after the other, and answered in their order', async (t) => {
  const { socket, begun } = await open(t)
  socket.write(REQUEST.repeat(3))
  let answers = ''
  socket.on('data', (chunk: Buffer) => (answers += chunk.toString()))
  for (let i = 0; i < 3; i++) {
    while (begun.length <= i) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(begun.length, i + 1)
    begun[i]?.end(`answer ${i}`)
  }
  while (!answers.includes('answer 2')) await once(socket, 'data')
  assert.deepEqual(answers.match(/answer \d/g), ['answer 0', 'answer 1', 'answer 2'])
})

test('a connection with more requests than may wait ends, and those that waited are not handled', async (t) => {
  const { socket, begun } = await open(t)
  socket.write(REQUEST.repeat(18))
  await once(socket.resume(), 'close')
  assert.equal(begun.length, 1)
})

test('as many as may wait are all handled', async (t) => {
  const { socket, begun } = await open(t)
  socket.resume().write(REQUEST.repeat(17))
  for (let i = 0; i < 17; i++) {
    while (begun.length <= i) await new Promise((resolve) => setImmediate(resolve))
    begun[i]?.end()
  }
  assert.equal(begun.length, 17)
})

test(
  'a body that does not end with its answer ends the connection soon after; one that does leaves it open',
  { timeout: 20_000 },
  async (t) => {
    const { socket, begun } = await open(t)
    const head = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
    const answerNext = async (count: number): Promise<void> => {
      while (begun.length < count) await new Promise((resolve) => setImmediate(resolve))
      begun[count - 1]?.end()
    }
    socket.resume().write(`${head}1\r\na\r\n`)
    await answerNext(1)
    socket.write('0\r\n\r\n')
    socket.write(`${head}1\r\na\r\n`)
    await answerNext(2)
    await once(socket, 'close')
  },
)
