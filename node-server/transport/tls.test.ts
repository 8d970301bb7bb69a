import { PATIENCE_MS, until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect as connectPlain, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { systemClock } from '../../lib/system-clock.ts'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import type { Message } from '../raft/message.ts'
import type { TlsOptions } from '../tls/options.ts'
import { prepareTls } from '../tls/prepare.ts'
import { makeAuthority, tlsOptions, type Authority } from '../tls/testing/authority.ts'
import type { RefusalReason } from './frame.ts'
import { peerDialer, query } from './query.ts'
import { Transport, type SnapshotSource, type TransportHandlers } from './transport.ts'

const A = MemberId(0xan)
const B = MemberId(0xbn)

let directory: string
let authority: Authority
let both: TlsOptions
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkv-peer-tls-'))
  authority = await makeAuthority(directory)
  both = await memberTls('member')
})
after(() => rm(directory, { recursive: true }))

/** Certificates both ways, as the tutorials of etcd set peers up. */
async function memberTls(
  name: string,
  given: Partial<TlsOptions> = {},
  hosts?: readonly string[],
): Promise<TlsOptions> {
  const { certFile, keyFile } = await authority.issue(name, hosts === undefined ? {} : { hosts })
  return tlsOptions({ certFile, keyFile, trustedCaFile: authority.caFile, clientCertAuth: true, ...given })
}

interface Side {
  readonly transport: Transport
  readonly url: string
  readonly messages: Message[]
  readonly snapshots: string[]
  readonly log: string[]
  readonly refused: RefusalReason[]
  /** A request `later` is answered when it resolves. */
  readonly later: { current: PromiseWithResolvers<void> }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function start(
  t: TestContext,
  memberId: MemberId,
  tls: TlsOptions | undefined,
  isPlain = false,
  given?: string,
  others: readonly string[] = [],
): Promise<Side> {
  const url = given ?? `${tls === undefined || isPlain ? 'http' : 'https'}://127.0.0.1:${await freePort()}`
  const side: Omit<Side, 'transport'> = {
    url,
    messages: [],
    snapshots: [],
    log: [],
    refused: [],
    later: { current: Promise.withResolvers() },
  }
  const handlers: TransportHandlers = {
    onMessages: (messages) => side.messages.push(...messages),
    onSnapshot: async ({ pieces }) => {
      side.snapshots.push(Buffer.concat(await Array.fromAsync(pieces)).toString())
    },
    onRequest: async (_from, payload) => {
      if (payload.toString() === 'later') await side.later.current.promise
      return Buffer.from(`answer to ${payload.toString()}`)
    },
    onUnreachable: () => undefined,
    onReachable: () => undefined,
    onRefused: (_by, reason) => side.refused.push(reason),
    isRemoved: () => false,
  }
  const write = (fields: object, message: string): number => side.log.push(`${message} ${JSON.stringify(fields)}`)
  const transport = await Transport.listen(
    {
      listenUrls: [url, ...others],
      clusterId: ClusterId(0xc1n),
      memberId,
      clock: systemClock,
      tls,
      log: { info: write, warn: write },
    },
    handlers,
  )
  t.after(() => transport.close())
  return { transport, ...side }
}

const isConnected = (side: Side, to: MemberId): boolean => side.transport.stats(to).connectedSinceMs !== undefined
const heartbeat = (from: MemberId, to: MemberId): Message => ({
  kind: 'heartbeat-request',
  from,
  to,
  term: Term(1),
  commit: LogIndex(1),
  readBatch: 0,
})
const logged = (side: Side): string => side.log.join('\n')

/** Another way to a port of this machine, and the connections that it has now. */
async function relay(t: TestContext, scheme: string, port: number): Promise<{ url: string; open: Set<Socket> }> {
  const open = new Set<Socket>()
  const server = createServer((from) => {
    const to = connectPlain(port, '127.0.0.1')
    open.add(from)
    from.on('close', () => open.delete(from)).on('error', () => to.destroy())
    to.on('error', () => from.destroy())
    from.pipe(to).pipe(from)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { url: `${scheme}://127.0.0.1:${address.port}`, open }
}

/** A dials B, and B dials A. */
async function pair(t: TestContext, tlsOfA: TlsOptions, tlsOfB: TlsOptions): Promise<[Side, Side]> {
  const [a, b] = [await start(t, A, tlsOfA), await start(t, B, tlsOfB)]
  a.transport.setPeers(new Map([[B, [b.url]]]))
  b.transport.setPeers(new Map([[A, [a.url]]]))
  return [a, b]
}

const sourceOf = (content: Buffer): SnapshotSource => ({
  sizeBytes: content.length,
  read: async function* () {
    yield content
  },
})

test('messages, requests, snapshots and queries go by TLS, with certificates both ways', async (t) => {
  const [a, b] = await pair(t, both, await memberTls('other'))
  await until('both connect', () => isConnected(a, B) && isConnected(b, A))
  a.transport.send([heartbeat(A, B)])
  await until('the message arrives', () => b.messages.length === 1)
  const answer = await a.transport.request(B, Buffer.from('a'), 1000)
  assert.equal(answer.ok && answer.value.toString(), 'answer to a')
  const sent = await a.transport.sendSnapshot(
    {
      kind: 'snapshot-request',
      from: A,
      to: B,
      term: Term(1),
      snapshot: {
        index: LogIndex(9),
        term: Term(1),
        configIndex: LogIndex(1),
        configuration: { voters: [A, B], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
      },
    },
    sourceOf(Buffer.from('state'.repeat(100_000))),
  )
  assert.deepEqual([sent.ok, b.snapshots.map(({ length }) => length)], [true, [500_000]])
  const dialer = peerDialer(both, { info: () => undefined, warn: () => undefined })
  const queried = await query(b.url, Buffer.from('q'), 1000, dialer)
  assert.equal(queried.ok && queried.value.toString(), 'answer to q')
  const without = await query(b.url, Buffer.from('q'), 1000)
  assert.equal(!without.ok && without.error, 'no TLS is configured for peers')
})

test('the file of a socket has no address to compare; who listens there must be localhost, or what the file is called', async (t) => {
  const urls = ['a', 'b', 'c'].map((name) => `unixs://${join(directory, name)}.sock`)
  const [a, b, c] = [
    await start(t, A, both, false, urls[0]),
    await start(t, B, await memberTls('local', {}, ['localhost', '192.0.2.1']), false, urls[1]),
    await start(t, MemberId(0xcn), await memberTls('elsewhere', {}, ['elsewhere']), false, urls[2]),
  ]
  a.transport.setPeers(
    new Map([
      [B, [b.url]],
      [MemberId(0xcn), [c.url]],
    ]),
  )
  await until('they connect', () => isConnected(a, B))
  await until('the other is refused', () => a.log.length > 0)
  assert.match(
    logged(a),
    /cannot connect to a peer .*c\.sock.*Host: localhost. is not in the cert's altnames: DNS:elsewhere/,
  )
})

test('a plain dialer at a listener with TLS, and the reverse, are told at both ends', async (t) => {
  const a = await start(t, A, both)
  const b = await start(t, B, both, true) // has certificates, but an http URL
  a.transport.setPeers(new Map([[B, [b.url.replace('http:', 'https:')]]]))
  b.transport.setPeers(new Map([[A, [a.url.replace('https:', 'http:')]]]))
  await until('both have logged both', () => a.log.length >= 2 && b.log.length >= 2)
  assert.match(
    logged(a),
    /cannot connect to a peer .*the peer does not speak TLS here: its URL should begin with http"/,
  )
  assert.match(logged(b), /rejected connection on peer endpoint .*the peer speaks TLS, and this URL is http/)
  assert.match(logged(b), /cannot connect to a peer .*the peer speaks TLS here: its URL should begin with https"/)
  assert.match(logged(a), /rejected connection on peer endpoint .*first record does not look like a TLS handshake/)
})

test('an address with both URLs takes both, and who comes either way is the same peer', async (t) => {
  const port = await freePort()
  const b = await start(t, B, both, false, `http://127.0.0.1:${port}`, [`https://127.0.0.1:${port}`])
  for (const scheme of ['http', 'https']) {
    const a = await start(t, A, both)
    a.transport.setPeers(new Map([[B, [`${scheme}://127.0.0.1:${port}`]]]))
    await until(`it connects by ${scheme}`, () => isConnected(a, B))
    await a.transport.close()
  }
  assert.deepEqual(b.log, [])
})

test('a peer whose URL becomes another is dialled there, and nothing is lost with the connection that stood', async (t) => {
  const port = await freePort()
  const b = await start(t, B, both, false, `http://127.0.0.1:${port}`, [`https://127.0.0.1:${port}`])
  const [plain, secure] = [await relay(t, 'http', port), await relay(t, 'https', port)]
  const a = await start(t, A, both)
  a.transport.setPeers(new Map([[B, [plain.url]]]))
  await until('it connects', () => isConnected(a, B))
  const since = a.transport.stats(B).connectedSinceMs
  for (const { url, open } of [secure, plain, secure]) {
    b.later.current = Promise.withResolvers()
    const asked = a.transport.request(B, Buffer.from('later'), 30_000)
    const sent = b.messages.length
    a.transport.send([heartbeat(A, B)])
    a.transport.setPeers(new Map([[B, [url]]]))
    await until(`it is dialled at ${url}`, () => open.size === 1)
    const former = url === secure.url ? plain : secure
    for (let i = 0; i < 100; i++) a.transport.send([heartbeat(A, B)])
    await until(`all messages arrive beside ${url}`, () => b.messages.length === sent + 101)
    assert.equal(former.open.size, 1)
    b.later.current.resolve()
    const answer = await asked
    assert.equal(answer.ok ? answer.value.toString() : answer.error, 'answer to later')
    await until(`${former.url} is left`, () => former.open.size === 0)
  }
  assert.equal(a.transport.stats(B).connectedSinceMs, since)
  assert.equal(a.transport.stats(B).sendFailures, 0)
  assert.deepEqual([a.log, b.log], [[], []])
})

test('a failure to connect that lasts is logged once', async (t) => {
  const a = await start(t, A, both)
  a.transport.setPeers(new Map([[B, [`https://127.0.0.1:${await freePort()}`]]]))
  await until('it is logged', () => a.log.length > 0)
  await delay(300)
  assert.equal(a.log.length, 1)
  assert.match(logged(a), /cannot connect to a peer .*ECONNREFUSED/)
})

const refusedPeers: readonly [string, () => Promise<TlsOptions>, () => Promise<TlsOptions>, RegExp][] = [
  [
    'without a certificate',
    async () => tlsOptions({ trustedCaFile: authority.caFile }),
    async () => both,
    /peer did not return/,
  ],
  [
    'of another CA',
    async () => {
      const other = await makeAuthority(directory, 'other-ca')
      const { certFile, keyFile } = await other.issue('stranger')
      return tlsOptions({ certFile, keyFile, trustedCaFile: authority.caFile })
    },
    async () => both,
    /UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
  ],
  [
    'with another common name than the allowed ones',
    () => memberTls('stranger'),
    () => memberTls('strict', { allowedCNs: ['member', 'strict'] }),
    /client certificate authentication failed/,
  ],
  [
    'with a certificate that has no subject',
    async () => {
      const { certFile, keyFile } = await authority.issue('nameless', { commonName: '' })
      return tlsOptions({ certFile, keyFile, trustedCaFile: authority.caFile })
    },
    () => memberTls('strict', { allowedCNs: ['member'] }),
    /client certificate authentication failed/,
  ],
  [
    'with a certificate for another address',
    () => memberTls('elsewhere', {}, ['10.1.2.3']),
    async () => both,
    /x509: certificate is valid for 10\.1\.2\.3, not 127\.0\.0\.1/,
  ],
  [
    'with a revoked certificate',
    () => memberTls('revoked'),
    async () => {
      const { serialNumber } = await authority.issue('revoked')
      return { ...both, crlFile: await authority.revoke('peers.crl', [serialNumber]) }
    },
    /certificate serial [0-9a-f]+ revoked/,
  ],
]
for (const [title, tlsOfA, tlsOfB, reason] of refusedPeers) {
  test(`a member ${title} stays out, and the reason is logged`, async (t) => {
    const a = await tlsOfA()
    const side = await start(t, A, a, true)
    const b = await start(t, B, await tlsOfB())
    side.transport.setPeers(new Map([[B, [b.url]]]))
    await until('the listener has logged it', () => /rejected connection on peer endpoint/.test(logged(b)))
    assert.match(logged(b), reason)
    await until('the dialer has logged it', () => /cannot connect to a peer/.test(logged(side)))
    assert.equal(isConnected(side, B), false)
  })
}

/** A is known at `host`; its certificate is for `hosts`. */
const identities: readonly [string, string, readonly string[], boolean][] = [
  ['one of its hosts', 'a.example', ['127.0.0.1', 'a.example'], true],
  ['a wildcard of it', 'a.peers.example', ['127.0.0.1', '*.peers.example'], true],
  ['another member', 'c.example', ['127.0.0.1', 'b.example'], false],
  ['a wildcard two levels above', 'a.b.example', ['127.0.0.1', '*.example'], false],
  ['its name as a common name only', 'member', ['127.0.0.1'], false],
]
suite('whose certificate it is', { concurrency: true }, () => {
  for (const [title, host, hosts, isTaken] of identities) {
    test(`a certificate for ${title} ${isTaken ? 'is taken' : 'is refused, by name'}`, async (t) => {
      const a = await start(t, A, await memberTls(`known-at-${host}`, {}, hosts))
      const b = await start(t, B, both)
      b.transport.setPeers(new Map([[A, [`https://${host}:2380`]]]))
      a.transport.setPeers(new Map([[B, [b.url]]]))
      if (isTaken) await until('it connects', () => isConnected(a, B))
      else {
        await until('it is refused again and again', () => a.refused.length > 1)
        assert.deepEqual(new Set(a.refused), new Set(['certificate-mismatch']))
        assert.equal(isConnected(a, B), false)
        const lines = b.log.filter((line) => line.includes('refused a peer'))
        assert.equal(lines.length, 1, 'told once')
        assert.match(lines[0] ?? '', /"from":"a".*"subject":"CN=known-at-.*valid for .*, not for/)
      }
    })
  }
})

test('a member that is not known yet is judged by its CA, and by its name as soon as it is known', async (t) => {
  const a = await start(t, A, await memberTls('newcomer'))
  const b = await start(t, B, both)
  a.transport.setPeers(new Map([[B, [b.url]]]))
  await until('it connects', () => isConnected(a, B))
  b.transport.setPeers(new Map([[A, ['https://elsewhere.example:2380']]]))
  await until('it is sent away', () => a.refused.length > 0)
  assert.equal(isConnected(a, B), false)
  b.transport.setPeers(new Map([[A, [a.url]]]))
  await until('it is back', () => isConnected(a, B))
})

test('where addresses are not compared, names are not either', async (t) => {
  const a = await start(t, A, await memberTls('nobody-in-particular', {}, []))
  const b = await start(t, B, { ...both, skipClientSanVerification: true })
  b.transport.setPeers(new Map([[A, ['https://a.example:2380']]]))
  a.transport.setPeers(new Map([[B, [b.url]]]))
  await until('it connects', () => isConnected(a, B))
})

test('a certificate for another address is taken when its check is skipped', async (t) => {
  const elsewhere = await memberTls('elsewhere', {}, ['10.1.2.3'])
  const a = await start(t, A, elsewhere, true)
  const b = await start(t, B, { ...both, skipClientSanVerification: true })
  a.transport.setPeers(new Map([[B, [b.url]]]))
  await until('it connects', () => isConnected(a, B))
})

test('a dialer refuses a listener of another name or another CA', async (t) => {
  const b = await start(t, B, await memberTls('listener'))
  const a = await start(t, A, { ...both, allowedCNs: ['member'] }, true)
  a.transport.setPeers(new Map([[B, [b.url]]]))
  await until('it is logged', () => a.log.length > 0)
  assert.match(logged(a), /cannot connect to a peer .*client certificate authentication failed/)
  const other = await makeAuthority(directory, 'third-ca')
  const c = await start(t, A, { ...both, trustedCaFile: other.caFile }, true)
  c.transport.setPeers(new Map([[B, [b.url]]]))
  await until('it is logged', () => c.log.length > 0)
  assert.match(logged(c), /cannot connect to a peer .*self-signed certificate in certificate chain/)
})

test('a certificate of its own for dialling is shown in place of the one for listening', async (t) => {
  const { certFile, keyFile } = await authority.issue('dialling')
  const b = await start(t, B, { ...both, allowedCNs: ['dialling'] })
  const a = await start(t, A, { ...both, clientCertFile: certFile, clientKeyFile: keyFile }, true)
  a.transport.setPeers(new Map([[B, [b.url]]]))
  await until('it connects', () => isConnected(a, B))
})

test('certificates that are replaced count for new connections, and the standing one goes on', async (t) => {
  const turning = await memberTls('turning')
  const [a, b] = await pair(t, turning, both)
  await until('both connect', () => isConnected(a, B) && isConnected(b, A))
  const since = a.transport.stats(B).connectedSinceMs
  const renewed = await makeAuthority(directory, 'renewed-ca')
  const { certFile, keyFile } = await renewed.issue('turning-anew')
  await writeFile(turning.certFile ?? '', await readFile(certFile))
  await writeFile(turning.keyFile ?? '', await readFile(keyFile))
  const dialer = peerDialer(both, { info: () => undefined, warn: () => undefined })
  const refused = await query(a.url, Buffer.from('q'), 1000, dialer)
  assert.match(refused.ok ? '' : refused.error, /unable to verify the first certificate/)
  a.transport.send([heartbeat(A, B)])
  await until('the message arrives', () => b.messages.length === 1)
  assert.equal(a.transport.stats(B).connectedSinceMs, since)
})

test('members that made certificates for themselves connect without knowing each other', async (t) => {
  const own = async (name: string): Promise<TlsOptions> => {
    const prepared = await prepareTls({
      tls: tlsOptions({ autoTls: true }),
      side: 'peer',
      dataDirectory: join(directory, name),
      listenURLs: ['https://127.0.0.1:2380'],
      log: { info: () => undefined, warn: () => undefined },
    })
    assert.ok(prepared.ok && prepared.value !== undefined)
    return prepared.value
  }
  const [a, b] = await pair(t, await own('a'), await own('b'))
  await until('both connect', () => isConnected(a, B) && isConnected(b, A))
})

test('https without a certificate is refused in words', async () => {
  const listening = Transport.listen(
    {
      listenUrls: ['https://127.0.0.1:0'],
      clusterId: ClusterId(1n),
      memberId: A,
      clock: systemClock,
    },
    {
      onMessages: () => undefined,
      onSnapshot: () => Promise.resolve(),
      onRequest: () => Promise.resolve(Buffer.alloc(0)),
      onUnreachable: () => undefined,
      onReachable: () => undefined,
      onRefused: () => undefined,
      isRemoved: () => false,
    },
  )
  await assert.rejects(listening, /cannot listen on TLS for https:.*KeyFile and CertFile are not presented/)
})

test('a handshake that is under way when the listener closes does not keep it open', async (t) => {
  const { transport, url } = await start(t, A, both)
  const { certFile = '', keyFile = '' } = both
  const credentials = { cert: await readFile(certFile), key: await readFile(keyFile) }
  const target = { host: '127.0.0.1', port: Number(new URL(url).port) }
  // The first flight gets through, the second only once the listener is closing.
  let release = (): void => undefined
  const isSecondFlight = new Promise<void>((resolve) => {
    const relay = createServer((from) => {
      const to = connectPlain(target)
      to.on('data', (bytes: Buffer) => from.write(bytes)).on('error', () => from.destroy())
      to.on('close', () => from.destroy())
      from.once('data', (first: Buffer) => {
        to.write(first)
        from.once('data', (second: Buffer) => {
          release = () => void to.write(second)
          resolve()
        })
      })
      from.on('error', () => to.destroy())
    }).listen(0, '127.0.0.1', () => {
      const address = relay.address()
      if (typeof address !== 'object' || address === null) throw new Error('a TCP server has an address')
      const dialer = connectTls({ ...target, port: address.port, rejectUnauthorized: false, ...credentials })
      dialer.on('error', () => undefined)
      t.after(() => {
        dialer.destroy()
        relay.close()
      })
    })
  })
  await isSecondFlight
  const closed = transport.close()
  release()
  const outcome = await Promise.race([closed.then(() => 'closed'), delay(PATIENCE_MS, 'still open', { ref: false })])
  assert.equal(outcome, 'closed')
})
