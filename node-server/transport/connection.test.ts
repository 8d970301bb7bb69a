import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { Connection } from './connection.ts'
import { encodeFrame, type Frame } from './frame.ts'

test('the memory that brought a large frame is given back as it comes; small frames keep theirs', async (t) => {
  const [receiving, sending] = await connected(t)
  const chunks: Buffer[] = []
  receiving.on('data', (chunk: Buffer) => chunks.push(chunk)) // before the connection takes it
  const payloads = [Buffer.from('small'), Buffer.alloc(1_000_000, 7), Buffer.from('another'), Buffer.alloc(500_000, 8)]
  const frames: Frame[] = []
  const { promise: haveAllCome, resolve } = Promise.withResolvers<void>()
  const onFrame = (frame: Frame): void => {
    frames.push(frame)
    if (frames.length === payloads.length) resolve()
  }
  const connection = new Connection(receiving, { onFrame, onClose: () => undefined })
  sending.write(Buffer.concat(payloads.map((payload) => encodeFrame(1, payload))))
  await haveAllCome
  connection.close('done')
  assert.deepEqual(
    frames.map(({ payload }) => payload),
    payloads,
  )
  assert.ok(chunks.some(({ length }) => length === 0))
  const kept = chunks.filter(({ length, buffer }) => length > 0 && length === buffer.byteLength)
  for (const { buffer } of kept) assert.ok(frames.some(({ payload }) => payload.buffer === buffer))
})

test('memory that others have parts of is left to them', async (t) => {
  const [receiving] = await connected(t)
  const connection = new Connection(receiving, { onFrame: () => undefined, onClose: () => undefined })
  const shared = Buffer.concat([encodeFrame(1, Buffer.alloc(500)), Buffer.from('of others')])
  receiving.emit('data', shared.subarray(0, 100))
  connection.close('done')
  assert.equal(shared.toString('latin1', shared.length - 9), 'of others')
})

async function connected(t: TestContext): Promise<readonly [Socket, Socket]> {
  const server: Server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const sending = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [receiving] = await accepted
  t.after(() => {
    sending.destroy()
    receiving.destroy()
    server.close()
  })
  return [receiving, sending]
}
