import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { EtcdClient } from './etcd-client.ts'
import { eventually, Rig, type MemberProcess } from './member-process.ts'

let rig: Rig
before(async () => (rig = await Rig.open()))
after(() => rig.close())

test('members meet and serve clients by the files of sockets alone, also after one was killed', async (t) => {
  const names = ['a', 'b', 'c']
  const socket = (name: string, of: string): string => join(rig.directory, `${name}-${of}.sock`)
  const peerURL = (name: string): string => `unix://${socket(name, 'peer')}`
  const members = await Promise.all(names.map((name) => rig.member(name, name)))
  const start = (member: MemberProcess): Promise<void> =>
    member.start([
      `--listen-peer-urls=${peerURL(member.name)}`,
      `--initial-advertise-peer-urls=${peerURL(member.name)}`,
      `--listen-client-urls=unix://${socket(member.name, 'client')}`,
      `--initial-cluster=${names.map((name) => `${name}=${peerURL(name)}`).join(',')}`,
    ])
  await Promise.all(members.map(start))
  await Promise.all(members.map((member) => member.isReady()))
  const [first, last] = [members[0], members[2]]
  assert.ok(first !== undefined && last !== undefined)
  const clients = [first, last].map(({ name }) => new EtcdClient(`unix:${socket(name, 'client')}`))
  t.after(() => clients.forEach((client) => client.close()))
  await clients[0]?.put('k', 'v')
  await last.kill('SIGKILL')
  await clients[0]?.put('k', 'w')
  await start(last)
  await last.isReady()
  await eventually('it has what it missed', async () => assert.equal(await clients[1]?.get('k'), 'w'))
})
