import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { ClusterId, MemberId } from '../../lib/ids.ts'
import { until } from '../../lib/testing/until.ts'
import {
  CHALLENGED_VERSION,
  FRAME,
  FrameDecoder,
  decodeHello,
  encodeFrame,
  encodeHello,
  encodeRefused,
} from './frame.ts'
import { PeerSecrets, type PeerSecretOptions } from './peer-secrets.ts'
import { peerDialer, query } from './query.ts'
import { answerOf, commonSecret, decodeProof, isAnswer, NONCE_SIZE_BYTES, proofOf, type Exchange } from './secret.ts'
import { A, B, byHand, clock, isConnected, portOf, start, type Side } from './testing/side.ts'

let directory: string
before(async () => void (directory = await mkdtemp(join(tmpdir(), 'raftkv-peer-secret-'))))
after(() => rm(directory, { recursive: true }))

const OLD = 'old-secret-0123456789abcdef'
const NEW = 'new-secret-0123456789abcdef'
type Mode = PeerSecretOptions['mode']

let files = 0
async function secretsIn(mode: Mode, ...lines: readonly string[]): Promise<PeerSecrets & { readonly path: string }> {
  const path = join(directory, `secret-${++files}`)
  await writeFile(path, lines.join('\n'))
  const opened = PeerSecrets.open({ path, mode }, { info: () => undefined, warn: () => undefined }, clock)
  assert.ok(opened.ok, opened.ok ? '' : opened.error)
  return Object.assign(opened.value, { path })
}

interface Logged extends Side {
  readonly log: string[]
}

async function member(t: TestContext, id: MemberId, secrets: PeerSecrets | undefined): Promise<Logged> {
  const log: string[] = []
  const write = (fields: object, message: string): number => log.push(`${message} ${JSON.stringify(fields)}`)
  const side = await start(t, id, { secrets, log: { info: write, warn: write }, helloTimeoutMs: 300 })
  return Object.assign(side, { log })
}

const given: readonly [string, readonly [Mode, string] | undefined][] = [
  ['nothing', undefined],
  ['the offered secret', ['offer', OLD]],
  ['another offered one', ['offer', NEW]],
  ['the required secret', ['require', OLD]],
  ['another required one', ['require', NEW]],
]
for (const [dialers, dialer] of given) {
  for (const [listeners, listener] of given) {
    const isCommon = dialer !== undefined && listener !== undefined && dialer[1] === listener[1]
    const isTaken = isCommon || (dialer?.[0] !== 'require' && listener?.[0] !== 'require')
    test(`who has ${dialers} ${isTaken ? 'connects' : 'does not connect'} to who has ${listeners}`, async (t) => {
      const a = await member(t, A, dialer && (await secretsIn(...dialer)))
      const b = await member(t, B, listener && (await secretsIn(...listener)))
      a.transport.setPeers(new Map([[B, [b.url]]]))
      if (isTaken) await until('it connects', () => isConnected(a, B))
      else
        await until('it is told why', () => a.refusals.includes('secret') || a.log.some((line) => /secret/.test(line)))
      if (!isTaken) assert.equal(isConnected(a, B), false)
      const isShown = isCommon || listener === undefined
      assert.equal(
        b.log.some((line) => line.includes('that has not shown the secret')),
        !isShown,
      )
      for (const line of [...a.log, ...b.log]) assert.ok(!line.includes(OLD) && !line.includes(NEW), line)
    })
  }
}

test('while a secret is changed each step of it connects everybody with everybody, without a restart', async (t) => {
  const [of, to] = [await secretsIn('require', OLD), await secretsIn('require', OLD)]
  const b = await member(t, B, to)
  const connects = async (step: string): Promise<void> => {
    const a = await member(t, A, of)
    a.transport.setPeers(new Map([[B, [b.url]]]))
    await until(step, () => isConnected(a, B))
    await a.transport.close()
  }
  for (const [dialers, listeners] of [
    [[OLD], [NEW, OLD]],
    [[NEW, OLD], [OLD]],
    [
      [NEW, OLD],
      [NEW, OLD],
    ],
    [[NEW], [NEW, OLD]],
    [[NEW, OLD], [NEW]],
    [[NEW], [NEW]],
  ] as const) {
    await writeFile(of.path, dialers.join('\n'))
    await writeFile(to.path, listeners.join('\n'))
    await connects(`${dialers.length} to ${listeners.length}`)
  }
  // Emptied: what was there before goes on.
  await writeFile(to.path, '')
  await connects('emptied')
})

test('a member of the version before is dialled as it knows it, as long as the secret is offered', async (t) => {
  const versions: number[] = []
  const server = createServer((socket) => {
    const decoder = new FrameDecoder()
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      for (const { type, payload } of decoder.push(chunk)) {
        if (type !== FRAME.hello) continue
        const { version } = decodeHello(payload)
        versions.push(version)
        if (version === 2) socket.write(encodeFrame(FRAME.welcome, Buffer.alloc(0)))
        else socket.end(encodeRefused('version'))
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const peers = new Map([[B, [`http://127.0.0.1:${portOf(server)}`]]])
  const offering = await member(t, A, await secretsIn('offer', OLD))
  offering.transport.setPeers(peers)
  await until('it connects', () => isConnected(offering, B))
  assert.deepEqual(versions, [3, 2])
  await offering.transport.close()
  const requiring = await member(t, A, await secretsIn('require', OLD))
  requiring.transport.setPeers(peers)
  await until('it is refused', () => requiring.refusals.length > 0)
  assert.deepEqual([requiring.refusals[0], isConnected(requiring, B)], ['version', false])
})

test('who asks without being a member shows the secret as well', async (t) => {
  const secrets = await secretsIn('require', OLD)
  const b = await member(t, B, secrets)
  const log = { info: () => undefined, warn: () => undefined }
  const known = await query(b.url, Buffer.from('q'), 1000, peerDialer(undefined, log, secrets))
  assert.equal(known.ok && known.value.toString(), '0 asks q')
  const stranger = await query(b.url, Buffer.from('q'), 1000)
  assert.equal(!stranger.ok && stranger.error, 'secret')
})

test('a proof that was heard elsewhere proves nothing', async (t) => {
  const b = await member(t, B, await secretsIn('require', OLD))
  const hello = {
    version: CHALLENGED_VERSION,
    clusterId: ClusterId(0xc1n),
    from: A,
    to: B,
    purpose: 'messages',
  } as const
  const first = await byHand(b.url, hello)
  const listenerNonce = first.frames[0]?.payload ?? Buffer.alloc(0)
  const proof = encodeFrame(
    FRAME.proof,
    proofOf([OLD], { hello, listenerNonce, dialerNonce: Buffer.alloc(NONCE_SIZE_BYTES, 7) }),
  )
  const second = await byHand(b.url, hello)
  assert.notDeepEqual(second.frames[0]?.payload, listenerNonce)
  first.socket.write(proof)
  second.socket.write(proof)
  await until('both are answered', () => first.frames.length > 1 && second.frames.length > 1)
  assert.deepEqual([first.frames[1]?.type, second.frames[1]?.type], [FRAME.welcome, FRAME.refused])
  // Whoever is not welcome is not heard either.
  second.socket.write(proof)
  await until('it is closed', second.isClosed)
  first.socket.destroy()
})

test('who says who it is byte by byte, or leaves a challenge unanswered, is sent away in time', async (t) => {
  const b = await member(t, B, await secretsIn('require', OLD))
  const silent = await byHand(b.url, { version: CHALLENGED_VERSION })
  assert.equal(silent.frames[0]?.type, FRAME.challenge)
  const slow = await byHand(b.url, undefined)
  const bytes = encodeHello({
    version: 2,
    clusterId: ClusterId(1n),
    from: A,
    to: B,
    purpose: 'messages',
    peerURLs: ['x'.repeat(60_000)],
  })
  let at = 0
  const dribble = setInterval(() => slow.socket.write(bytes.subarray(at, ++at)), 20)
  t.after(() => clearInterval(dribble))
  await until('both are closed', () => silent.isClosed() && slow.isClosed())
  assert.ok(at < bytes.length)
  assert.match(b.log.join('\n'), /no hello in time/)
})

const exchange: Exchange = {
  hello: { clusterId: ClusterId(1n), from: A, to: B, purpose: 'messages' },
  listenerNonce: Buffer.alloc(NONCE_SIZE_BYTES, 1),
  dialerNonce: Buffer.alloc(NONCE_SIZE_BYTES, 2),
}

test('the bytes of a proof and of its answer, for good', () => {
  const proof = proofOf(['0123456789abcdef'], exchange)
  assert.equal(
    proof.toString('hex'),
    '0202020202020202020202020202020202020202020202020202020202020202f0e42ef9de7790eaf5c533386ad954ccbadfb2a42e842f7247350791b31071f6',
  )
  assert.equal(
    answerOf('0123456789abcdef', exchange).toString('hex'),
    '8aa60e8fc02914a71d8cc74769b3b9c34255c0c27b4828da49064834bcf1e972',
  )
})

test('what is shown counts for one exchange, one side and one secret', () => {
  const { shown } = decodeProof(proofOf([OLD], exchange), 4)
  assert.equal(commonSecret([NEW, OLD], shown, exchange), OLD)
  const others: readonly Exchange[] = [
    { ...exchange, hello: { ...exchange.hello, clusterId: ClusterId(2n) } },
    { ...exchange, hello: { ...exchange.hello, from: B, to: A } },
    { ...exchange, hello: { ...exchange.hello, to: MemberId(0xcn) } },
    { ...exchange, hello: { ...exchange.hello, purpose: 'snapshot' } },
    { ...exchange, listenerNonce: exchange.dialerNonce },
    { ...exchange, dialerNonce: exchange.listenerNonce },
  ]
  for (const other of others) {
    assert.equal(commonSecret([OLD], shown, other), undefined)
    assert.equal(isAnswer(answerOf(OLD, exchange), [OLD], other), false)
  }
  assert.equal(commonSecret([NEW], shown, exchange), undefined)
  assert.equal(isAnswer(answerOf(OLD, exchange), [NEW, OLD], exchange), true)
  // What the dialer has shown is not what a listener shows.
  assert.equal(isAnswer(shown[0] ?? Buffer.alloc(0), [OLD], exchange), false)
})

test('a proof is taken in whole, and of so many secrets at most', () => {
  const whole = proofOf([OLD, NEW], exchange)
  for (let size = 0; size < whole.length; size++) {
    const cut = whole.subarray(0, size)
    if (size >= NONCE_SIZE_BYTES && size % 32 === 0) assert.equal(decodeProof(cut, 4).shown.length, size / 32 - 1)
    else assert.throws(() => decodeProof(cut, 4), /a proof of \d+ bytes/)
  }
  assert.throws(
    () =>
      decodeProof(
        proofOf(
          Array.from({ length: 5 }, () => OLD),
          exchange,
        ),
        4,
      ),
    /a proof of 192 bytes/,
  )
})

const refusals: readonly [string, readonly string[], RegExp][] = [
  ['an empty file', [], /there is no secret in it/],
  ['a short secret', ['short-secret'], /a secret is shorter than 16 bytes/],
  ['five', Array.from({ length: 5 }, (_, i) => `${OLD}${i}`), /it has 5 lines; at most 4 count/],
]
for (const [title, lines, problem] of refusals) {
  test(`${title} is refused at the start, in words that do not tell it`, async () => {
    const path = join(directory, 'refused')
    await writeFile(path, lines.join('\n'))
    const opened = PeerSecrets.open({ path, mode: 'require' }, { info: () => undefined, warn: () => undefined }, clock)
    assert.ok(!opened.ok)
    assert.match(opened.error, problem)
    for (const line of lines) assert.ok(!opened.error.includes(line))
  })
}
