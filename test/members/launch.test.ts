/** Members launched as etcd is: what scripts wait for and parse, restarts, config files, and the loss of all other members. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { StatusResponse } from '../../node-server/proto/generated/etcd/rpc.ts'
import { VERSION } from '../../lib/version.ts'
import { ETCD_API_VERSION } from '../../node-server/version.ts'
import { COMPILE_CACHE, eventually, freePort, Rig, type Cluster, type MemberProcess } from './member-process.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'node-server', 'main.ts')
const READY = /ready to serve client requests/

let rig: Rig
before(async () => void (rig = await Rig.open()))
after(() => rig.close())

async function says(member: MemberProcess, text: RegExp): Promise<void> {
  await eventually(`${member.name} says ${text}`, async () => assert.match(member.output, text))
}

async function run(...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { NODE_COMPILE_CACHE: COMPILE_CACHE } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => void (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString()))
  await once(child, 'close')
  return { code: child.exitCode, stdout, stderr }
}

test('--version has the API level in its first line, where scripts look for etcd’s version, and ours beside it', async () => {
  const { code, stdout } = await run('--version')
  assert.equal(code, 0)
  assert.deepEqual(stdout.split('\n').slice(0, 2), [`etcd Version: ${ETCD_API_VERSION}`, `raftkv Version: ${VERSION}`])
})

test('wrong flags: nothing on stdout, all of it on stderr, exit code 2', async () => {
  const { code, stdout, stderr } = await run('--discovery-fallback=proxy', '--max-wals=x', '--auth-token=jwt')
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(
    stderr,
    /--discovery-fallback=proxy cannot be had: .*\n.*--max-wals: .*\n.*--auth-token: sign-method is none of/,
  )
})

test('--unsafe-no-fsync works, and is told at the start and in Status', async () => {
  const member = await rig.member('unsafe')
  const flags = [`--initial-cluster=${member.asFirstMember}`, '--unsafe-no-fsync']
  await member.start(flags)
  await member.isReady()
  await member.etcd.put('kept', 'over the end of a process')
  const { errors } = StatusResponse.decode(
    await member.etcd.callBytes('/etcdserverpb.Maintenance/Status', Buffer.alloc(0)),
  )
  assert.match(errors.join(), /--unsafe-no-fsync/)
  await says(member, /"level":"warn".*--unsafe-no-fsync/)
  await member.kill('SIGKILL')
  await member.start(flags)
  await member.isReady()
  assert.equal(await member.etcd.get('kept'), 'over the end of a process')
  await member.kill('SIGKILL')
})

test('the line that scripts wait for comes once there is a leader: of two members, the first alone says it not', async () => {
  const members = [await rig.member('one'), await rig.member('two')]
  const flags = [`--initial-cluster=${members.map((member) => member.asFirstMember).join(',')}`]
  const [first, second] = members
  assert.ok(first !== undefined && second !== undefined)
  await first.start(flags)
  await assert.rejects(first.etcd.all('serializable'), /UNAVAILABLE/)
  assert.doesNotMatch(first.output, READY)
  await second.start(flags)
  await Promise.all(members.map((member) => says(member, READY)))
  // Through the second: the client of the first was refused above and may still be waiting to dial again.
  await second.etcd.put('a', 'b')
  await Promise.all(members.map((member) => member.kill('SIGKILL')))
})

test('clients are served once the member has warmed up, and what that did is no data', async () => {
  const member = await rig.member('warm')
  await member.start([`--initial-cluster=${member.asFirstMember}`, '--warm-up=true'])
  await says(member, READY)
  const messages = [...member.output.matchAll(/"msg":"(warmed up|serving clients)"/g)].map(([, message]) => message)
  assert.deepEqual(messages, ['warmed up', 'serving clients'])
  assert.equal((await member.etcd.all('serializable')).size, 0)
  await member.kill('SIGKILL')
})

test('a member is ready by its metrics port once clients can connect', async () => {
  const member = await rig.member('probed')
  const metricsURL = `http://127.0.0.1:${await freePort()}`
  const flags = [`--listen-metrics-urls=${metricsURL}`, '--warm-up=true']
  await member.start([`--initial-cluster=${member.asFirstMember}`, ...flags])
  await eventually('it is ready', async () => assert.equal((await fetch(`${metricsURL}/readyz`)).status, 200))
  assert.equal((await fetch(`${member.clientURL}/version`)).status, 200)
  await member.kill('SIGKILL')
})

test('with --shutdown-delay-duration a member that is asked to stop says so, and serves who still comes', async () => {
  const [member, delayMs] = [await rig.member('leaving'), 4000]
  const metricsURL = `http://127.0.0.1:${await freePort()}`
  const flags = [`--listen-metrics-urls=${metricsURL}`, `--shutdown-delay-duration=${delayMs}ms`]
  await member.start([`--initial-cluster=${member.asFirstMember}`, ...flags])
  await member.isReady()
  const ending = member.kill('SIGTERM')
  await eventually('it says that it stops', async () => {
    const ready = await fetch(`${metricsURL}/readyz`)
    assert.deepEqual([ready.status, await ready.text()], [503, 'stopping\n'])
  })
  await member.etcd.put('came', 'late')
  const { code, afterMs } = await ending
  assert.equal(code, 0)
  assert.ok(afterMs >= delayMs, `after ${afterMs} ms`)
})

test('a line of the log is JSON with etcd’s field names, on stderr', async () => {
  const member = await rig.member('lines')
  const child = member.spawn([])
  let stdout = ''
  child.stdout?.on('data', (chunk: Buffer) => void (stdout += chunk.toString()))
  await says(member, READY)
  await member.kill('SIGTERM')
  assert.equal(stdout, '')
  const line: unknown = JSON.parse(member.output.split('\n').find((text) => READY.test(text)) ?? '{}')
  assert.partialDeepStrictEqual(line, { level: 'info', name: 'lines', msg: 'ready to serve client requests' })
  assert.ok(typeof line === 'object' && line !== null && 'ts' in line)
})

test('systemd is told as well, where it waits for that', async () => {
  const tools = join(rig.directory, 'bin')
  const told = join(rig.directory, 'told')
  await mkdir(tools)
  await writeFile(join(tools, 'systemd-notify'), `#!/bin/sh\necho "$@" > ${told}.tmp\nmv ${told}.tmp ${told}\n`)
  await chmod(join(tools, 'systemd-notify'), 0o755)
  const member = await rig.member('unit')
  const child = member.spawn([], {
    NOTIFY_SOCKET: '/run/systemd/notify',
    PATH: `${tools}${delimiter}${process.env['PATH']}`,
  })
  const text = await eventually('systemd is told', () => readFile(told, 'utf8'))
  assert.equal(text, `--ready --pid=${child.pid}\n`)
  await member.kill('SIGKILL')
})

test('a killed member is started again on the same ports at once', async () => {
  const member = await rig.member('again')
  for (let i = 0; i < 4; i++) {
    await member.start([])
    await member.isReady()
    await member.etcd.put(`key${i}`, 'value')
    await member.kill('SIGKILL')
  }
  await member.start([])
  await member.isReady()
  assert.equal((await member.etcd.all()).size, 4)
  assert.doesNotMatch(member.output, /EADDRINUSE/)
  await member.kill('SIGTERM')
})

test('a configuration file of etcd’s form is all the flags there are; variables count where there is none', async () => {
  const member = await rig.member('from-file')
  const { ports, clientURL, peerURL } = member
  const path = join(rig.directory, 'etcd.yaml')
  await writeFile(
    path,
    [
      'name: from-file',
      `data-dir: ${member.dataDirectory}`,
      `listen-client-urls: ${clientURL}`,
      `advertise-client-urls: ${clientURL}`,
      `listen-peer-urls: ${peerURL}`,
      `initial-advertise-peer-urls: ${peerURL}`,
      `initial-cluster: from-file=${peerURL}`,
      `listen-admin-urls: http://127.0.0.1:${ports.admin}`,
      'watch-progress-notify-interval: 600000000000',
      'log-outputs: [stdout]',
      'client-transport-security:',
      '  auto-tls: no',
    ].join('\n'),
  )
  // The flags that every member of the rig has are ignored then; --name shows it.
  member.spawn([`--config-file=${path}`, '--name=ignored'], { ETCD_MAX_TXN_OPS: 'ignored as well' })
  await says(member, READY)
  assert.match(member.output, /the configuration is that of .*etcd\.yaml: other flags and the environment are ignored/)
  assert.equal((await member.status()).name, 'from-file')
  await member.kill('SIGTERM')
  member.output = ''
  member.spawn([], { ETCD_LOG_FORMAT: 'console', ETCD_NAME: 'shadowed' })
  await says(member, /\tinfo\tready to serve client requests\t/)
  assert.match(member.output, /ETCD_NAME is ignored: --name is given as well/)
  await member.kill('SIGTERM')
})

test('the log may be on a disk of its own; the data directory leads to it', async () => {
  const member = await rig.member('two-disks')
  const walDirectory = join(rig.directory, 'log-disk')
  await member.start([`--wal-dir=${walDirectory}`])
  await member.isReady()
  await member.etcd.put('key', 'value')
  await member.kill('SIGKILL')
  assert.match((await readdir(walDirectory)).join(), /^[0-9a-f]{16}\.wal/)
  member.spawn([`--wal-dir=${walDirectory}-other`])
  assert.equal((await member.ended()).code, 1)
  assert.match(member.output, /but the log of this member is in .*log-disk/)
  await member.start([])
  await member.isReady()
  assert.equal(await member.etcd.get('key'), 'value')
  await member.kill('SIGTERM')
})

async function addsUp(member: MemberProcess, keys: readonly string[]): Promise<void> {
  const all = await member.etcd.all()
  for (const key of keys) assert.ok(all.has(key), key)
}

test('two of three members lost for good: the third goes on as a cluster of one, and who comes back is refused', async () => {
  const { members, flags }: Cluster = await rig.cluster(['m0', 'm1', 'm2'])
  const [survivor, lost, returning] = members
  assert.ok(survivor !== undefined && lost !== undefined && returning !== undefined)
  for (let i = 0; i < 20; i++) await survivor.etcd.put(`before${i}`, 'value')
  const before = await survivor.status()
  await Promise.all(members.map((member) => member.kill('SIGKILL')))
  await rm(lost.dataDirectory, { recursive: true })

  await survivor.start([...flags, '--force-new-cluster'])
  await survivor.isReady()
  const forced = await survivor.status()
  assert.deepEqual([forced.clusterId, forced.memberId], [before.clusterId, before.memberId])
  assert.deepEqual(forced.voters, [before.memberId])
  const keys = Array.from({ length: 20 }, (_, i) => `before${i}`)
  await addsUp(survivor, keys)
  await survivor.etcd.put('alone', 'value')
  assert.equal((await survivor.etcd.members()).members.length, 1)
  await survivor.kill('SIGTERM')

  await survivor.start(flags)
  await survivor.isReady()
  await addsUp(survivor, [...keys, 'alone'])

  returning.spawn(flags)
  await says(returning, /a peer refused this member/)
  assert.equal((await returning.ended()).code, 0)
  returning.spawn(flags)
  assert.equal((await returning.ended()).code, 1)
  assert.match(returning.output, /a member that its cluster has removed/)

  await survivor.etcd.put('after', 'value')
  await addsUp(survivor, [...keys, 'alone', 'after'])
})
