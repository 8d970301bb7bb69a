/** `npm start` from a person's point of view: it works, it is found as it was left, it leaves nothing behind. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { z } from 'zod'
import { connect } from '../../sandbox/client/client.ts'
import { RESOURCES } from '../../sandbox/client/resource.ts'
import { EtcdJson } from '../../sandbox/start/etcd-json.ts'
import { SAMPLE } from '../../sandbox/start/objects.ts'
import { eventually } from '../members/member-process.ts'
import { SandboxProcess, isRunning, processesOf, until } from './sandbox-process.ts'

/** Members' addresses are 127.N.x.y, which only Linux has without set-up. */
const options = { skip: process.platform === 'linux' ? false : 'needs loopback addresses beyond 127.0.0.1' }
const MEMBERS = 3
/** The machine may be busy with other tests. */
const TIMEOUT_MS = 60_000
/** With the operator. */
const PROCESSES = MEMBERS + 1

const Kubeconfig = z.object({
  clusters: z.tuple([
    z.object({ cluster: z.object({ server: z.string(), 'certificate-authority-data': z.string() }) }),
  ]),
  users: z.tuple([z.object({ user: z.object({ token: z.string() }) })]),
})

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-start-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function memberAddress(text: string): string {
  const address = /https:\/\/(127\.[\d.]+):2379/.exec(text)?.[1]
  assert.ok(address !== undefined, text)
  return address
}

/** With the certificates of the line that is printed to be pasted. */
async function byFiles<Answer>(text: string, ask: (etcd: EtcdJson) => Promise<Answer>): Promise<Answer> {
  const [, ca = '', cert = '', key = ''] = /--cacert[= ](\S+) --cert[= ](\S+) --key[= ](\S+)/.exec(text) ?? []
  const read = (path: string): string => readFileSync(path, 'utf8')
  const etcd = new EtcdJson({ ca: read(ca), cert: read(cert), key: read(key) })
  try {
    return await ask(etcd)
  } finally {
    await etcd.close()
  }
}

/** It may have to be another pod: the API server has another address at each start. */
async function operatorWorks(directory: string): Promise<void> {
  const { clusters, users } = Kubeconfig.parse(JSON.parse(readFileSync(join(directory, 'kubeconfig'), 'utf8')))
  const [{ cluster }, { user }] = [clusters[0], users[0]]
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString()
  const connection = connect({ url: cluster.server, token: user.token, ca })
  const { client } = connection
  try {
    await client.patch(RESOURCES.raftClusters, SAMPLE, { spec: { pdb: { enabled: false } } })
    const isGone = async (): Promise<void> =>
      assert.equal(await client.get(RESOURCES.disruptionBudgets, SAMPLE), undefined)
    await eventually('the disruption budget goes', isGone, TIMEOUT_MS)
  } finally {
    await connection.close()
  }
}

test(
  'killed in the middle it leaves no process, the next start finds everything, Ctrl-C stops it',
  options,
  async (t) => {
    const directory = join(scratch(t), 'state')
    const args = ['--port', '0', '--directory', directory]
    const first = new SandboxProcess(args)
    t.after(() => first.signal('SIGKILL'))
    await first.printed(/Ctrl-C stops everything/)
    const pids = processesOf(directory)
    assert.equal(pids.length, PROCESSES, first.text)
    await byFiles(first.text, (etcd) => etcd.put(memberAddress(first.text), 'kept', 'yes'))

    const second = new SandboxProcess(args)
    assert.equal(await second.ended(), 1)
    assert.match(second.text, /a sandbox runs already: another process uses/)

    first.signal('SIGKILL')
    assert.equal(await first.ended(), 'SIGKILL')
    await until(() => !pids.some(isRunning), 'the members notice that the sandbox is gone')

    const third = new SandboxProcess(args)
    t.after(() => third.signal('SIGKILL'))
    await third.printed(/Ctrl-C stops everything/)
    const kept = await byFiles(third.text, (etcd) => etcd.readPrefix(memberAddress(third.text), 'kept'))
    assert.deepEqual([...kept], [['kept', 'yes']])
    await operatorWorks(directory)
    await until(() => processesOf(directory).length === PROCESSES, 'the operator of before to go')
    const later = processesOf(directory)
    third.signal('SIGINT')
    assert.equal(await third.ended(), 0)
    assert.match(third.text, /no process is left/)
    assert.deepEqual(later.filter(isRunning), [])
  },
)

test('a port that is taken is said, with what to do', options, async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const sandbox = new SandboxProcess(['--port', String(address.port), '--directory', join(scratch(t), 'state')])
  assert.equal(await sandbox.ended(), 1)
  assert.match(sandbox.text, new RegExp(`port ${address.port} of 127\\.0\\.0\\.1 is taken .* --port`))
})

test('a directory that cannot be written, or is somebody else’s, is said', async (t) => {
  const directory = scratch(t)
  writeFileSync(join(directory, 'thesis.txt'), 'all of it')
  const foreign = new SandboxProcess(['--fresh', '--directory', directory])
  assert.equal(await foreign.ended(), 1)
  assert.match(foreign.text, /holds files that are not the sandbox's/)
  const below = new SandboxProcess(['--directory', join(directory, 'thesis.txt', 'state')])
  assert.equal(await below.ended(), 1)
  assert.match(below.text, /cannot write to .*--directory/)
})

test('a flag that is none is said, with those that are', async () => {
  const sandbox = new SandboxProcess(['--frsh'])
  assert.equal(await sandbox.ended(), 2)
  assert.match(sandbox.text, /there is no flag '--frsh'[\s\S]*--fresh/)
})
