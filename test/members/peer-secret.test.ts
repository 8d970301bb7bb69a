/** A running cluster of plain peers comes to a secret by two rollouts, and from then on a cluster ID is not enough. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ClusterId, MemberId, parseId } from '../../lib/ids.ts'
import { PROTOCOL_VERSION } from '../../node-server/transport/frame.ts'
import { dial } from '../../node-server/transport/connection.ts'
import { eventually, Rig } from './member-process.ts'

/** Long: an election that nobody asked for is the cluster's doing then, not the machine's. */
const TIMING = ['--heartbeat-interval=100', '--election-timeout=5000']

let rig: Rig
before(async () => void (rig = await Rig.open()))
after(() => rig.close())

test('members offer the secret, then require it; who knows all IDs and not the secret is refused, and it is in no log', async () => {
  const secret = 'a-secret-that-nobody-tells'
  const path = join(rig.directory, 'peer-secret')
  await writeFile(path, `${secret}\n`)
  const { members, flags } = await rig.cluster(['a', 'b', 'c'], TIMING)
  const [first, second] = members
  assert.ok(first !== undefined && second !== undefined)
  const hello = {
    version: PROTOCOL_VERSION,
    clusterId: ClusterId(parseId((await first.status()).clusterId) ?? 0n),
    from: MemberId(parseId((await first.status()).memberId) ?? 0n),
    to: MemberId(parseId((await second.status()).memberId) ?? 0n),
    purpose: 'messages',
    peerURLs: [],
  } as const
  const isWelcome = async (): Promise<string> => {
    const dialled = await dial(second.peerURL, hello, undefined)
    if (dialled.ok) dialled.value.close('enough')
    if (dialled.ok) return 'welcome'
    return dialled.error.kind === 'refused' ? dialled.error.reason : dialled.error.message
  }
  for (const mode of ['offer', 'require']) {
    assert.equal(await isWelcome(), 'welcome')
    for (const member of members) {
      await member.kill('SIGTERM')
      await member.start([...flags, `--peer-secret-file=${path}`, `--peer-secret-mode=${mode}`])
      await member.isReady()
      await member.etcd.put(`${mode} ${member.name}`, 'v')
    }
  }
  assert.equal(await isWelcome(), 'secret')
  for (const member of members) {
    await eventually('all of it is there', async () => assert.equal((await member.etcd.all('linearizable')).size, 6))
    assert.ok(!member.output.includes(secret))
  }
  assert.match(second.output, /refused a peer that has not shown the secret of the cluster/)
})
