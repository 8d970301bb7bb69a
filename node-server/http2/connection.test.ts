/** A connection from its first byte to its last, byte by byte: what a client sends, and what it is answered. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, test, type TestContext } from 'node:test'
import { DEFAULT_LIMITS, type ListenLimits } from '../listen/limits.ts'
import { Connection } from './connection.ts'
import { ErrorCode, PREFACE } from './frame.ts'
import { field, rememberedField } from './hpack-encoder.ts'
import { Slab } from './output.ts'
import { Stream } from './stream.ts'
import { Turn } from './turn.ts'

const HEAD = [field(':status', '200'), rememberedField('content-type', 'text/x')]

const TRAILERS = [rememberedField('x-end', '1')]

/**
 * Answers with what it was sent; `/none` with nothing, `/long` with 40,000 bytes, `/cut` not at all, `/early` before the
 * request has come. `/slow` takes nothing.
 */
class Echo extends Stream {
  readonly #path: string
  readonly #ended: string[]
  #body = Buffer.alloc(0)

  constructor(port: ConstructorParameters<typeof Stream>[0], id: number, path: string, ended: string[]) {
    super(port, id)
    this.#path = path
    this.#ended = ended
  }

  override onOpened(): void {
    if (this.#path !== '/early') return
    this.respond(HEAD)
    this.finish([])
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#path === '/slow') return
    this.consumed(end - start)
    this.#body = Buffer.concat([this.#body, bytes.subarray(start, end)])
  }

  onEnd(): void {
    if (this.#path === '/cut') return this.reset(ErrorCode.internalError)
    this.respond(HEAD)
    if (this.#path !== '/none') this.write(this.#path === '/long' ? Buffer.alloc(40_000, 'l') : this.#body)
    this.finish(this.#path === '/trailers' ? TRAILERS : [])
  }

  onSent(): void {
    // Nothing waits for it.
  }

  onClosed(isComplete: boolean): void {
    this.#ended.push(`${this.id} ${isComplete ? 'complete' : 'broken'}`)
  }
}

let server: Server
let onSocket: (socket: Socket) => void = () => undefined
before(async () => {
  server = createServer((socket) => onSocket(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
after(() => server.close())

interface Client {
  readonly connection: Connection
  readonly ended: string[]
  send(...frames: readonly string[]): void
  /** Frames as hex, until there are so many; their headers apart from their content. */
  receive(count: number): Promise<readonly string[]>
  readonly closed: Promise<unknown>
}

/** Connected, settings exchanged. */
async function open(t: TestContext, limits: Partial<ListenLimits> = {}): Promise<Client> {
  const ended: string[] = []
  const accepted = new Promise<Connection>((resolve) => {
    onSocket = (socket) =>
      resolve(
        new Connection(socket, {
          limits: { ...DEFAULT_LIMITS, ...limits },
          route: ({ path }) => ({ open: (port, id) => new Echo(port, id, path, ended) }),
          turn: new Turn(),
          slab: new Slab(),
          text: Buffer.alloc(DEFAULT_LIMITS.maxHeaderBytes),
          commonName: undefined,
          onClosed: () => undefined,
        }),
      )
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const socket = connect(address.port, '127.0.0.1').on('error', () => undefined)
  t.after(() => socket.destroy())
  let bytes = Buffer.alloc(0)
  let onBytes: () => void = () => undefined
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    onBytes()
  })
  const next = async (): Promise<string> => {
    for (;;) {
      const length = bytes.length < 9 ? Infinity : 9 + bytes.readUIntBE(0, 3)
      if (bytes.length >= length) {
        const frame = `${bytes.toString('hex', 0, 9)} ${bytes.toString('hex', 9, length)}`.trim()
        bytes = bytes.subarray(length)
        return frame
      }
      await new Promise<void>((resolve) => (onBytes = resolve))
    }
  }
  const client: Client = {
    connection: await accepted,
    ended,
    send: (...frames) => void socket.write(Buffer.from(frames.join('').replaceAll(' ', ''), 'hex')),
    receive: async (count) => {
      const frames: string[] = []
      while (frames.length < count) frames.push(await next())
      return frames
    },
    closed: once(socket, 'close'),
  }
  client.send(PREFACE.toString('hex'), '000000 04 00 00000000')
  assert.deepEqual(await client.receive(3), SETTINGS)
  return client
}

const SETTINGS = [
  '000012040000000000 000300002710000400040000000600010000',
  '000004080000000000 003f0001', // the connection's window: 4 MiB
  '000000040100000000', // acknowledged
]

/** `:method: POST`, `:scheme: http`, `:path` without indexing. */
const head = (path: string): string => `8386 04${hexOf(path)}`
const hexOf = (text: string): string => text.length.toString(16).padStart(2, '0') + Buffer.from(text).toString('hex')
const frame = (type: string, flags: string, streamId: number, payload = ''): string => {
  const content = payload.replaceAll(' ', '')
  return `${(content.length / 2).toString(16).padStart(6, '0')}${type}${flags}${streamId.toString(16).padStart(8, '0')}${content}`
}
const TYPE = hexOf('text/x')

test('a request is answered: head, body, trailers', async (t) => {
  const client = await open(t)
  client.send(frame('01', '04', 1, head('/trailers')), frame('00', '01', 1, '616263'))
  assert.deepEqual(await client.receive(3), [
    `000009010400000001 885f${TYPE}`,
    '000003000000000001 616263',
    `000009010500000001 40${hexOf('x-end')}${hexOf('1')}`,
  ])
  client.send(frame('01', '04', 3, head('/trailers')), frame('00', '01', 3, '64'))
  assert.deepEqual(await client.receive(3), [
    '000002010400000003 88bf',
    '000001000000000003 64',
    '000001010500000003 be',
  ])
  assert.deepEqual(client.ended, ['1 complete', '3 complete'])
})

test('without a body the head is all there is', async (t) => {
  const client = await open(t)
  client.send(frame('01', '05', 1, head('/none')))
  assert.deepEqual(await client.receive(1), [`000009010500000001 885f${TYPE}`])
})

test('answers of one turn leave together, in the order of their requests', async (t) => {
  const client = await open(t)
  const requests = [1, 3, 5].map((id) => frame('01', '05', id, head('/none')))
  client.send(...requests)
  const answers = await client.receive(3)
  assert.deepEqual(
    answers.map((answer) => answer.slice(10, 18)),
    ['00000001', '00000003', '00000005'],
  )
})

test('a block in parts, padding and a priority are read', async (t) => {
  const client = await open(t)
  const block = head('/echo').replaceAll(' ', '')
  client.send(
    frame('01', '28', 1, `02 00000000ff ${block.slice(0, 6)} 0000`),
    frame('09', '00', 1, block.slice(6, 8)),
    frame('09', '04', 1, block.slice(8)),
    frame('00', '09', 1, '03 61 000000'),
  )
  assert.deepEqual((await client.receive(2)).at(1), '000001000100000001 61')
})

test('more than the windows allow waits for them, and for both', async (t) => {
  const client = await open(t)
  client.send(frame('04', '00', 0, '0004 00000005'), frame('01', '05', 1, head('/long')))
  assert.deepEqual((await client.receive(3)).slice(0, 1), ['000000040100000000'])
  client.send(frame('08', '00', 1, '00007530')) // 30,000: in frames of 16,384 at most
  const lengths = (await client.receive(2)).map((answer) => Number.parseInt(answer.slice(0, 6), 16))
  assert.deepEqual(lengths, [16_384, 13_616])
  client.send(frame('04', '00', 0, '0004 00100000'))
  const rest = await client.receive(2)
  assert.deepEqual(
    rest.map((answer) => answer.slice(0, 18)),
    ['000000040100000000', '00270b000100000001'],
  )
})

test("more than the connection's window allows waits for it, all streams together", async (t) => {
  const client = await open(t)
  client.send(
    frame('04', '00', 0, '0004 00100000'),
    frame('01', '05', 1, head('/long')),
    frame('01', '05', 3, head('/long')),
  )
  let received = 0
  const receiveData = async (upTo: number): Promise<void> => {
    while (received < upTo) {
      const [answer = ''] = await client.receive(1)
      if (answer.slice(6, 8) === '00') received += Number.parseInt(answer.slice(0, 6), 16)
    }
  }
  await receiveData(65_535)
  client.send(frame('06', '00', 0, '0102030405060708'))
  assert.deepEqual(await client.receive(1), ['000008060100000000 0102030405060708'], 'and nothing before')
  assert.equal(received, 65_535)
  client.send(frame('08', '00', 0, '00010000'))
  await receiveData(80_000)
  assert.equal(received, 80_000)
})

test('pings are answered; what is not known is ignored', async (t) => {
  const client = await open(t)
  client.send(frame('7f', 'ff', 9, '00'), frame('06', '00', 0, '0102030405060708'))
  assert.deepEqual(await client.receive(1), ['000008060100000000 0102030405060708'])
})

test('an answer that comes before its request has ended makes the rest superfluous (RFC 9113 §8.1)', async (t) => {
  const client = await open(t)
  client.send(frame('01', '04', 1, head('/early')))
  assert.deepEqual(await client.receive(2), [`000009010500000001 885f${TYPE}`, '000004030000000001 00000000'])
  client.send(frame('00', '00', 1, '61'), frame('06', '00', 0, '0102030405060708'))
  assert.deepEqual(await client.receive(1), ['000008060100000000 0102030405060708'], 'what was on its way is nothing')
})

test('more than its window allows ends a stream, and not the connection', async (t) => {
  const client = await open(t)
  const full = frame('00', '00', 1, '00'.repeat(16_384))
  client.send(frame('01', '04', 1, head('/slow')), full.repeat(16), frame('06', '00', 0, '0102030405060708'))
  assert.deepEqual(await client.receive(1), ['000008060100000000 0102030405060708'])
  client.send(frame('00', '00', 1, '00'))
  assert.deepEqual(await client.receive(1), ['000004030000000001 00000003'])
  assert.deepEqual(client.ended, ['1 broken'])
})

test('what a stream takes is allowed again, in large pieces; the same for the connection', async (t) => {
  const client = await open(t)
  const full = frame('00', '00', 1, '00'.repeat(16_384))
  client.send(frame('01', '04', 1, head('/echo')), full.repeat(8))
  assert.deepEqual(await client.receive(1), ['000004080000000001 00020000'])
  client.send(full.repeat(120))
  const updates: string[] = []
  while (updates.at(-1)?.startsWith('00000408000000 0000'.replace(' ', '')) !== true)
    updates.push(...(await client.receive(1)))
  assert.equal(updates.at(-1), '000004080000000000 00200000')
})

test('a call that is cut is told so, and the connection goes on', async (t) => {
  const client = await open(t)
  client.send(frame('01', '05', 1, head('/cut')))
  assert.deepEqual(await client.receive(1), ['000004030000000001 00000002'])
  assert.deepEqual(client.ended, ['1 broken'])
  client.send(frame('00', '00', 1, '61'), frame('06', '00', 0, '0102030405060708'))
  assert.deepEqual(await client.receive(1), ['000008060100000000 0102030405060708'], 'what was on its way is nothing')
})

test('a client that gives a call up is told nothing, its handler is', async (t) => {
  const client = await open(t)
  client.send(
    frame('01', '04', 1, head('/echo')),
    frame('03', '00', 1, '00000008'),
    frame('06', '00', 0, '0102030405060708'),
  )
  await client.receive(1)
  assert.deepEqual(client.ended, ['1 broken'])
})

test('draining: announced, then final, then the end when the last call has ended (RFC 9113 §6.8)', async (t) => {
  const client = await open(t)
  client.send(frame('01', '04', 1, head('/echo')), frame('06', '00', 0, '0102030405060708'))
  await client.receive(1)
  client.connection.drain()
  const [goaway, ping] = await client.receive(2)
  assert.match(goaway ?? '', /^000015070000000000 7fffffff00000000/)
  client.send(frame('01', '05', 3, head('/none'))) // on its way when the first word came
  client.send(`${ping?.slice(0, 8) ?? ''}01${ping?.slice(10) ?? ''}`)
  // In either order: what comes in one read is answered after the frames that are about the connection.
  const received = await client.receive(2)
  assert(received.some((one) => one.startsWith('000009010500000003')))
  assert(received.includes('000008070000000000 0000000300000000'))
  client.send(frame('01', '05', 5, head('/none'))) // too late
  client.send(frame('00', '01', 1, '61'))
  assert.equal((await client.receive(2)).at(1), '000001000100000001 61')
  await client.closed
  assert.deepEqual(client.ended, ['3 complete', '1 complete'])
})

const floods: readonly (readonly [string, string, RegExp])[] = [
  ['settings', frame('04', '00', 0), /0000000b/],
  ['empty DATA', frame('00', '00', 1), /0000000b/],
  ['priorities', frame('02', '00', 7, '0000000010'), /0000000b/],
  ['pings', frame('06', '00', 0, '0102030405060708'), /0000000b746f6f5f6d616e795f70696e6773/],
  ['what nobody knows', frame('7f', '00', 0), /0000000b/],
  ['DATA for a call that has ended', frame('00', '00', 5, '61'), /0000000b/],
]
for (const [what, repeated, expected] of floods) {
  test(`a flood of ${what} ends the connection`, async (t) => {
    const client = await open(t)
    client.send(frame('01', '04', 1, head('/echo')), frame('01', '05', 3, head('/cut')))
    client.send(frame('01', '05', 5, head('/none')))
    await client.receive(2) // the one is cut, the other answered
    client.send(repeated.repeat(1100))
    for (;;) {
      const [answer = ''] = await client.receive(1)
      if (answer.slice(6, 8) !== '07') continue
      assert.match(answer, expected)
      break
    }
    await client.closed
    assert.deepEqual(client.ended, ['3 broken', '5 complete', '1 broken'])
  })
}

test('rapid reset ends the connection', async (t) => {
  const client = await open(t)
  const calls = Array.from(
    { length: 12_000 },
    (_, i) => frame('01', '04', 2 * i + 1, head('/echo')) + frame('03', '00', 2 * i + 1, '00000008'),
  )
  client.send(...calls)
  const [answer = ''] = await client.receive(1)
  assert.match(answer, /^......07.*0000000b/)
  await client.closed
})

test('a header block without end ends the connection', async (t) => {
  const client = await open(t)
  client.send(frame('01', '00', 1, head('/echo')), frame('09', '00', 1).repeat(100))
  assert.match((await client.receive(1)).join(''), /^......07.*0000000b/)
  await client.closed
})

test('more calls at once than agreed are refused, and may be tried again', async (t) => {
  const client = await open(t)
  const many = Array.from({ length: 10_001 }, (_, i) => frame('01', '04', 2 * i + 1, head('/echo')))
  client.send(...many)
  assert.deepEqual(await client.receive(1), ['000004030000004e21 00000007'])
})

test('a line that is silent is asked, and given up without an answer', async (t) => {
  const client = await open(t, { keepaliveIntervalMs: 50, keepaliveTimeoutMs: 50 })
  assert.match((await client.receive(1)).join(''), /^000008060000000000/)
  await client.closed
})
