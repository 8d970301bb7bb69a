/** Who must be able to talk to whom at every moment: members among each other, and applications, which have Secrets as they last read them. */
import assert from 'node:assert/strict'
import { type Caller, hasOnly, obstacleBetween, obstacleFor, type Talker } from './fake-tls.ts'
import { contentOf, type ReadSecret } from './mounted-secrets.ts'
import { KEY } from './objects.ts'

type Side = 'peer' | 'client'

const MOUNTED: Readonly<Record<Side, string>> = { peer: `${KEY.name}-peer-tls`, client: `${KEY.name}-server-tls` }
/** As a kubelet does. */
const READ_EVERY_MS = 60_000

export class Talks {
  /** Sides that lost a CA together with what trusts it, or the like: until others have come everywhere, who talks to whom is a matter of luck. */
  readonly excused = new Set<Side>()
  #application: Caller | undefined
  #readMs = -Infinity

  check(nowMs: number, read: ReadSecret, talkersOf: (side: Side) => readonly Talker[]): void {
    this.#endExcuses(read, talkersOf)
    const peers = this.excused.has('peer') ? [] : talkersOf('peer')
    for (const from of peers)
      for (const to of peers)
        if (from !== to) assert.equal(obstacleBetween(from, to, nowMs), undefined, 'members must be able to talk')
    this.#readAsApplication(nowMs, read)
    for (const to of this.excused.has('client') ? [] : talkersOf('client'))
      assert.equal(obstacleFor(this.#application, to, nowMs), undefined, 'applications must be served')
  }

  #readAsApplication(nowMs: number, read: ReadSecret): void {
    if (nowMs - this.#readMs < READ_EVERY_MS) return
    const content = contentOf(read(`${KEY.name}-client-tls`))
    const { 'ca.crt': trusted = '', 'tls.crt': certificate = '', 'tls.key': key = '' } = content ?? {}
    if (trusted === '' || certificate === '') return
    this.#application = { trusted, certificate, key }
    this.#readMs = nowMs
  }

  /** Once everybody is of the one CA that is left. */
  #endExcuses(read: ReadSecret, talkersOf: (side: Side) => readonly Talker[]): void {
    for (const side of this.excused) {
      const bundle = contentOf(read(MOUNTED[side]))?.['ca.crt'] ?? ''
      if (!talkersOf(side).every((talker) => hasOnly(talker, bundle))) continue
      this.excused.delete(side)
      this.#readMs = -Infinity
    }
  }
}
