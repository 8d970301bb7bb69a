/**
 * The load of the end-to-end test, in a pod of the project's image: three writers put numbered keys through the client
 * Service, one put in flight each, and remember what was acknowledged. `GET /history?from=N` hands it out.
 *
 * The outcome of a put that failed is unknown. Two writers never repeat one: they go on with the next number, so that each
 * key has at most one put, and what is found later can be held against what was promised. The third is set up as an
 * application would be: gRPC itself sends a put again that was answered with Unavailable.
 *
 * `GET /use?scheme=https` has them go on over TLS, with the certificates of the folder that was named, and `http` back.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ChannelCredentials, Client, Metadata, credentials } from '@grpc/grpc-js'
import { PutRequest, PutResponse } from '../../node-server/proto/generated/etcd/rpc.ts'
import type { Put } from './checks/writes.ts'

const [address = 'localhost:2379', port = '8090', pause = '4', certificates = ''] = process.argv.slice(2)
const WRITERS = [{ mayRepeat: false }, { mayRepeat: false }, { mayRepeat: true }] as const
const PAUSE_MS = Number(pause)
const PAUSE_AFTER_FAILURE_MS = 20
const PUT_LIMIT_MS = 1500
/** Over TLS a connection lasts no longer: certificates are read, and shown, when one begins. */
const TLS_CONNECTION_MS = 1000
/** As etcdctl's --command-timeout. */
const REPEATED_PUT_LIMIT_MS = 5000
/** The most attempts that gRPC allows; together they wait for about two seconds, each with a jitter of a fifth. */
const RETRY_POLICY = {
  maxAttempts: 5,
  initialBackoff: '0.1s',
  backoffMultiplier: 2.5,
  maxBackoff: '1s',
  retryableStatusCodes: ['UNAVAILABLE'],
}
/** An hour at full speed; a bound so that a forgotten pod does not grow forever. */
const MOST_PUTS = 1_000_000
const FILLER = '.'.repeat(64)

const history: Put[] = []
const stopping = new AbortController()
let scheme = 'http'

/** Wall clock of this machine, never going back: sent and answered times are compared. */
const nowMs = (): number => performance.timeOrigin + performance.now()

async function write(writer: number, mayRepeat: boolean): Promise<void> {
  let connection = connect(mayRepeat)
  for (let number = 0; !stopping.signal.aborted && history.length < MOST_PUTS; number++) {
    if (connection.scheme !== scheme || nowMs() > connection.untilMs) {
      connection.client.close()
      connection = connect(mayRepeat)
    }
    const put = await attempt(connection.client, { writer, number, mayRepeat })
    history.push(put)
    await sleep(put.revision === undefined ? PAUSE_AFTER_FAILURE_MS : PAUSE_MS)
  }
  connection.client.close()
}

interface Connection {
  readonly client: Client
  readonly scheme: string
  readonly untilMs: number
}

function connect(mayRepeat: boolean): Connection {
  const isTls = scheme === 'https'
  const client = new Client(address, isTls ? ownCertificate() : credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1, // a connection of its own, maybe to another member
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 500,
    'grpc.keepalive_time_ms': 1000,
    'grpc.keepalive_timeout_ms': 1000,
    ...(mayRepeat && {
      'grpc.service_config': JSON.stringify({ methodConfig: [{ name: [{}], retryPolicy: RETRY_POLICY }] }),
    }),
  })
  return { client, scheme, untilMs: isTls ? nowMs() + TLS_CONNECTION_MS : Number.POSITIVE_INFINITY }
}

/** The kubelet replaces all files of a Secret at once, behind this link: the three are of one version. */
function ownCertificate(): ChannelCredentials {
  const version = realpathSync(join(certificates, '..data'))
  const [ca, key, certificate] = ['ca.crt', 'tls.key', 'tls.crt'].map((file) => readFileSync(join(version, file)))
  return credentials.createSsl(ca, key, certificate)
}

async function attempt(client: Client, which: Pick<Put, 'writer' | 'number' | 'mayRepeat'>): Promise<Put> {
  const { writer, number, mayRepeat } = which
  const key = `e2e/${writer}/${String(number).padStart(8, '0')}`
  const value = `${writer}:${number}:${FILLER}`
  const sentMs = nowMs()
  const metadata = new Metadata({ waitForReady: true })
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      '/etcdserverpb.KV/Put',
      (request: PutRequest) => Buffer.from(PutRequest.encode(request).finish()),
      (bytes: Buffer) => PutResponse.decode(bytes),
      PutRequest.create({ key: Buffer.from(key), value: Buffer.from(value) }),
      metadata,
      { deadline: Date.now() + (mayRepeat ? REPEATED_PUT_LIMIT_MS : PUT_LIMIT_MS) },
      (error, answer) => {
        const put = { ...which, key, value, sentMs, answeredMs: nowMs() }
        const revision = answer?.header?.revision
        if (error === null && revision !== undefined) return resolve({ ...put, revision: Number(revision) })
        return resolve({ ...put, problem: error?.message ?? 'an answer without a header' })
      },
    )
  })
}

const writing = Promise.all(WRITERS.map(({ mayRepeat }, writer) => write(writer, mayRepeat)))

createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://writers')
  const answer = (body: unknown): void => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(body))
  }
  if (url.pathname === '/history') {
    const from = Number(url.searchParams.get('from') ?? 0)
    return answer(history.slice(from, from + 5000))
  }
  if (url.pathname === '/use') {
    scheme = url.searchParams.get('scheme') ?? scheme
    return answer({ scheme })
  }
  if (url.pathname === '/stop') {
    stopping.abort()
    void writing.then(() => answer({ puts: history.length }))
    return
  }
  answer({ puts: history.length, acknowledged: history.filter(({ revision }) => revision !== undefined).length })
}).listen(Number(port))

process.on('SIGTERM', () => process.exit(0))
