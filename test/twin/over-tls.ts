/**
 * etcd's own command line, and its gateway, before a real etcd and before ours, both with TLS and users: a script, each line of which
 * must print the same and end the same. Of clients' certificates the common name is a user; passwords and tokens count before it.
 */
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { makeAuthority, type Authority, type Issued } from '../../node-server/tls/testing/authority.ts'
import { attempt, daemon } from '../e2e/process.ts'
import { eventually, freePort, Rig } from '../members/member-process.ts'
import { allowedDifference } from './differences.ts'

/** By their common names. Of these root and app become users; app reads from a to c. */
const COMMON_NAMES = { root: 'root', app: 'app', stranger: 'stranger', nameless: '' } as const
type Certificate = keyof typeof COMMON_NAMES
const TIMING = ['--heartbeat-interval=50', '--election-timeout=500', '--bcrypt-cost=4']
const STEP_TIMEOUT_MS = 20_000

interface Command {
  readonly kind: 'etcdctl'
  /** Undefined: it shows none. */
  readonly as: Certificate | undefined
  readonly args: readonly string[]
  readonly input?: string
}

interface Post {
  readonly kind: 'gateway'
  readonly as: Certificate
  readonly path: string
  readonly body: object
  /** Sent as Authorization: what `authenticate` gave for this user. */
  readonly token?: string
}

type Step = Command | Post

const ctl = (as: Certificate | undefined, line: string, input?: string): Command => ({
  kind: 'etcdctl',
  as,
  args: line.split(' '),
  ...(input !== undefined && { input }),
})
const post = (as: Certificate, path: string, body: object, token?: string): Post => ({
  kind: 'gateway',
  as,
  path,
  body,
  ...(token !== undefined && { token }),
})
const base64 = (value: string): string => Buffer.from(value).toString('base64')
const A = { key: base64('a') }

const SCRIPT: readonly Step[] = [
  ctl('stranger', 'put a 1'),
  ctl(undefined, 'get a'),
  ctl('stranger', 'user add root:rootpw'),
  ctl('stranger', 'user grant-role root root'),
  ctl('stranger', 'user add app:apppw'),
  ctl('stranger', 'user add plain:plainpw'),
  ctl('stranger', 'user add nobody --no-password'),
  ctl('stranger', 'role add reader'),
  ctl('stranger', 'role grant-permission reader read a c'),
  ctl('stranger', 'role get reader'),
  ctl('stranger', 'user grant-role app reader'),
  ctl('stranger', 'auth status'),
  ctl('stranger', 'auth enable'),
  // The common name of the certificate is the user.
  ctl('app', 'get a'),
  ctl('app', 'get a c'),
  ctl('app', 'get a d'),
  ctl('app', 'put a 2'),
  ctl('app', 'get z'),
  ctl('app', 'put a 3 --prev-kv'),
  ctl('app', 'txn', 'value("a") = "1"\n\nget a\n\nput a 4\n\n'),
  ctl('app', 'txn', 'value("a") = "1"\n\nget a\n\nget b\n\n'),
  ctl('app', 'user list'),
  ctl('app', 'user get app'),
  ctl('app', 'user get root'),
  ctl('app', 'role get reader'),
  ctl('app', 'role list'),
  ctl('app', 'compaction 1'),
  ctl('app', 'defrag'),
  ctl('app', 'alarm list'),
  ctl('app', 'auth disable'),
  ctl('app', 'auth status'),
  ctl('app', 'lease list'),
  ctl('app', 'endpoint health'),
  ctl('root', 'put a 5'),
  ctl('root', 'user list'),
  ctl('root', 'role list'),
  ctl('root', 'auth status'),
  // No user has this name.
  ctl('stranger', 'get a'),
  ctl('stranger', 'user list'),
  ctl('stranger', 'auth status'),
  ctl('stranger', 'endpoint health'),
  // A password counts before the certificate.
  ctl('stranger', '--user app:apppw get a'),
  ctl('root', '--user app:apppw put a 6'),
  ctl('root', '--user app:wrong get a'),
  ctl('root', '--user nobody: get a'),
  ctl('stranger', '--user nobody:x get a'),
  ctl('stranger', '--user unknown:x get a'),
  ctl('stranger', '--user plain:plainpw get a'),
  ctl(undefined, '--user root:rootpw get a'),
  // At the gateway only tokens count.
  post('root', 'kv/range', A),
  post('nameless', 'kv/range', A),
  post('nameless', 'auth/authenticate', { name: 'app', password: 'wrong' }),
  post('nameless', 'auth/authenticate', { name: 'app', password: 'apppw' }),
  post('nameless', 'kv/range', A, 'app'),
  post('nameless', 'kv/put', { ...A, value: base64('7') }, 'app'),
  post('nameless', 'kv/range', { key: base64('z') }, 'app'),
  post('nameless', 'auth/status', {}),
  post('nameless', 'auth/user/list', {}, 'app'),
  ctl('root', 'role revoke-permission reader a c'),
  ctl('app', 'get a'),
  ctl('root', 'user delete app'),
  ctl('app', 'get a'),
  post('nameless', 'kv/range', A, 'app'),
  ctl('root', 'auth disable'),
  ctl('stranger', 'get a'),
]

interface Server {
  readonly name: 'etcd' | 'ours'
  readonly port: number
  /** What `authenticate` gave, by user. */
  readonly tokens: Map<string, string>
}

interface Place {
  readonly etcdctl: string
  readonly authority: Authority
  readonly certificates: Readonly<Record<string, Issued>>
}

export interface ComparedOverTls {
  readonly steps: number
  /** Lines that came to something else, and what. */
  readonly differences: readonly string[]
  /** Of differences.ts. */
  readonly allowed: readonly string[]
}

/** `programs`: a folder with etcd and etcdctl. */
export async function compareOverTls(programs: string): Promise<ComparedOverTls> {
  const rig = await Rig.open()
  const authority = await makeAuthority(rig.directory)
  const certificates: Record<string, Issued> = {}
  for (const [name, commonName] of Object.entries(COMMON_NAMES))
    certificates[name] = await authority.issue(name, { commonName })
  const place = { etcdctl: join(programs, 'etcdctl'), authority, certificates }
  const flags = tlsFlags(authority, await authority.issue('server'))
  const etcd = await startEtcd(join(programs, 'etcd'), rig.directory, flags)
  try {
    const member = await rig.member('ours')
    const url = `https://127.0.0.1:${member.ports.client}`
    const own = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`]
    await member.start([`--initial-cluster=${member.asFirstMember}`, ...TIMING, ...own, ...flags])
    await member.isReady()
    const servers: readonly [Server, Server] = [
      { name: 'etcd', port: etcd.port, tokens: new Map() },
      { name: 'ours', port: member.ports.client, tokens: new Map() },
    ]
    await eventually('etcd has a leader', async () => {
      const { code, stderr } = await etcdctl(servers[0], place, ctl('root', 'get a'))
      if (code !== 0) throw new Error(stderr)
    })
    const [differences, allowed]: [string[], string[]] = [[], []]
    for (const step of SCRIPT) {
      const [theirs, ours] = [await play(servers[0], place, step), await play(servers[1], place, step)]
      if (theirs === ours) continue
      const mismatch = { field: '', etcd: theirs, ours }
      const known = allowedDifference({ path: pathOf(step), request: '', etcd: theirs, ours, mismatch })
      if (known !== undefined) allowed.push(known.id)
      else differences.push(`${titleOf(step)}\n    etcd: ${theirs}\n    ours: ${ours}`)
    }
    return { steps: SCRIPT.length, differences, allowed }
  } finally {
    etcd.stop()
    await rig.close()
  }
}

function tlsFlags({ caFile }: Authority, { certFile, keyFile }: Issued): readonly string[] {
  return [`--cert-file=${certFile}`, `--key-file=${keyFile}`, `--trusted-ca-file=${caFile}`, '--client-cert-auth']
}

async function startEtcd(
  program: string,
  directory: string,
  flags: readonly string[],
): Promise<{ readonly port: number; readonly stop: () => void }> {
  const port = await freePort()
  const [client, peer] = [`https://127.0.0.1:${port}`, `http://127.0.0.1:${await freePort()}`]
  const dataDirectory = join(directory, 'etcd')
  mkdirSync(dataDirectory, { mode: 0o700 })
  const place = [`--data-dir=${dataDirectory}`, '--name=twin', `--initial-cluster=twin=${peer}`, '--log-level=warn']
  const urls = [
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
  ]
  const etcd = daemon([program, ...place, ...urls, ...TIMING, ...flags], join(directory, 'etcd.log'), directory)
  return { port, stop: () => void etcd.kill('SIGKILL') }
}

function pathOf(step: Step): string {
  return step.kind === 'gateway' ? `/v3/${step.path}` : 'etcdctl'
}

function titleOf(step: Step): string {
  if (step.kind === 'etcdctl') return `${step.as ?? 'without a certificate'}: etcdctl ${step.args.join(' ')}`
  return `${step.as}: POST ${step.path} ${JSON.stringify(step.body)}${step.token === undefined ? '' : ` as ${step.token}`}`
}

async function play(server: Server, place: Place, step: Step): Promise<string> {
  if (step.kind === 'gateway') return ask(server, place, step)
  const { code, stdout, stderr } = await etcdctl(server, place, step)
  const last = stderr.trimEnd().split('\n').at(-1) ?? ''
  return JSON.stringify({ code, stdout: withoutOwn(stdout), error: withoutOwn(last) })
}

function etcdctl({ port }: Server, { etcdctl, authority, certificates }: Place, { as, args, input }: Command) {
  const own = as === undefined ? undefined : certificates[as]
  const flags = [
    `--endpoints=https://127.0.0.1:${port}`,
    `--cacert=${authority.caFile}`,
    '--dial-timeout=1s',
    '--command-timeout=2s',
    ...(own === undefined ? [] : [`--cert=${own.certFile}`, `--key=${own.keyFile}`]),
  ]
  return attempt([etcdctl, ...flags, ...args], { timeoutMs: STEP_TIMEOUT_MS, ...(input !== undefined && { input }) })
}

/** Ports, times and addresses in memory. */
function withoutOwn(said: string): string {
  return said
    .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS')
    .replaceAll(/0x[0-9a-f]+/g, 'POINTER')
    .replaceAll(/"ts":"[^"]*"/g, '"ts":""')
    .replaceAll(/took [\d.]+[µm]?s/g, 'took TIME')
    .replaceAll(/took = [\d.]+[µm]?s/g, 'took = TIME')
}

const Answer = z.looseObject({ header: z.unknown().optional(), token: z.string().optional() })

async function ask({ port, tokens }: Server, { authority, certificates }: Place, step: Post): Promise<string> {
  const { as, body, token } = step
  const own = certificates[as]
  if (own === undefined) throw new Error(`there is no certificate ${as}`)
  const call = request({
    host: '127.0.0.1',
    port,
    path: pathOf(step),
    method: 'POST',
    ca: readFileSync(authority.caFile),
    cert: readFileSync(own.certFile),
    key: readFileSync(own.keyFile),
    // As curl does: etcd takes a request without it for one of who has the name of its own certificate.
    headers: { accept: '*/*', ...(token !== undefined && { authorization: tokens.get(token) ?? '' }) },
    agent: false,
    timeout: STEP_TIMEOUT_MS,
  })
  call.end(JSON.stringify(body))
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  return answerOf(response.statusCode, await text(response), (given) => {
    if ('name' in body) tokens.set(String(body.name), given)
  })
}

/** Who answers and what a token is like are each server's own. */
function answerOf(status: number | undefined, said: string, keep: (token: string) => void): string {
  if (!said.startsWith('{')) return `${status} ${said.trim()}`
  const { header, token, ...rest } = Answer.parse(JSON.parse(said))
  if (token !== undefined) keep(token)
  return `${status} ${JSON.stringify({ hasHeader: header !== undefined, hasToken: token !== undefined, ...rest })}`
}
