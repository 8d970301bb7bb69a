/** What people do about TLS, in some of the runs: they turn it on and off, ask for other CAs, and lose Secrets. */
import { ANNOTATIONS } from '../../operator/api/raft-cluster.ts'
import { SIDES, type TlsSide } from '../../operator/api/tls.ts'
import { contentOf } from '../../operator/cluster/testing/mounted-secrets.ts'
import { certificatesIn } from '../../operator/cluster/tls/certificates.ts'
import type { Fault } from './coverage.ts'
import { at, type Json, textAt } from './json.ts'
import { phaseIn } from './member-tls.ts'
import type { World } from './world.ts'

/** The change from plaintext to TLS takes two rollouts, and that of a CA minutes: these runs take several times as long as others. */
const EVERY = 20
/** Between two of these, at the longest. */
const PAUSE_MS = 12_000

const { rotateAuthorities: ROTATE } = ANNOTATIONS
const AUTO = { mode: 'Auto' }
const OFF = { mode: 'Disabled' }
export const PLAIN = { tls: { peer: OFF, client: OFF } }
/** What is left open is Auto: these clusters are made now. */
const SPECS = [PLAIN.tls, { client: OFF }, { peer: OFF, client: AUTO }, { peer: AUTO, client: AUTO }, {}]

const DEEDS: readonly (readonly [fault: Fault, deed: (world: World) => boolean])[] = [
  ['spec: TLS', turn],
  ['spec: TLS', turn],
  ['annotation rotate-ca', rotate],
  ['Secret of TLS lost', lose],
]

export function hasTls(seed: number): boolean {
  return seed % EVERY === EVERY - 1
}

/** Of a new cluster. */
export function tlsSpec({ hasTls: isTls, tlsRandom }: World): Json {
  return isTls && tlsRandom.chance(0.5) ? {} : PLAIN
}

export function beginTls(world: World): void {
  const { tlsRandom, schedule } = world
  schedule.after(tlsRandom.below(PAUSE_MS), () => {
    if (schedule.now > world.faultsEndMs) return
    const [fault, deed] = tlsRandom.pick(DEEDS) ?? []
    if (fault !== undefined && world.cluster() !== undefined && deed?.(world) === true) world.coverage.note(fault)
    beginTls(world)
  })
}

function turn(world: World): boolean {
  world.edit({ tls: world.tlsRandom.pick(SPECS) })
  return true
}

function rotate(world: World): boolean {
  world.annotate('rotate-ca', String(world.tlsRandom.below(1000)))
  return true
}

function lose(world: World): boolean {
  const { server, tlsRandom, tls, log } = world
  const ends = ['peer-ca', 'client-ca', 'peer-tls', 'server-tls', 'client-tls', 'operator-tls', 'backup-tls']
  const end = tlsRandom.pick(ends.filter((one) => server.get('Secret', `${world.name}-${one}`) !== undefined))
  if (end === undefined) return false
  const name = `${world.name}-${end}`
  log.add('fault', `Secret ${name} is deleted by hand`)
  server.delete('Secret', name)
  const side = end.startsWith('peer') ? 'peer' : 'client'
  if (isLuck(world, side, end)) tls.talks.excused.add(side)
  return true
}

/** What members show can be given to them again by whoever signed it, and a CA be known by what members mount: one of the two is needed. */
function isLuck({ server, name }: World, side: TlsSide, end: string): boolean {
  const [authority, mounted] = side === 'peer' ? ['peer-ca', 'peer-tls'] : ['client-ca', 'server-tls']
  const is = (one: string): boolean => server.get('Secret', `${name}-${one}`) !== undefined
  const rotation = textAt(at(server.get('RaftCluster', name), 'status', 'tls', side), 'rotation') || 'None'
  return !is(mounted) && (rotation !== 'None' || !is(authority) || end === authority)
}

/** What is not yet as the spec has it; undefined when nothing is. */
export function tlsMissing(world: World): string | undefined {
  const cluster = world.cluster()
  for (const side of SIDES) {
    const isWanted = (textAt(cluster, 'spec', 'tls', side, 'mode') || 'Auto') === 'Auto'
    const phase = phaseIn(cluster, side)
    if (phase !== (isWanted ? 'Required' : 'Disabled')) return `${side} is ${phase}`
    const rotation = textAt(cluster, 'status', 'tls', side, 'rotation') || 'None'
    if (rotation !== 'None') return `the CA of ${side} is ${rotation}`
    if (isWanted && isToBeReplaced(world, side)) return `the CA of ${side} is about to be replaced`
    const wrong = world.kubelet.running.find((process) => {
      const talker = world.tls.talker(process, side)
      return talker?.schemes.join() !== (isWanted ? 'https' : 'http')
    })
    if (wrong !== undefined) return `${wrong.name} listens to ${world.tls.talker(wrong, side)?.schemes.join()}`
  }
  return world.tls.talks.excused.size === 0 ? undefined : 'members have CAs that are lost'
}

/** The annotation asks for another one than there is, or there is one that is not trusted alone yet, which the status says a look later. */
function isToBeReplaced(world: World, side: TlsSide): boolean {
  const authority = world.server.get('Secret', `${world.name}-${side}-ca`)
  const asked = world.cluster()?.metadata.annotations?.[ROTATE]
  const isAnswered = asked === undefined || asked === authority?.metadata.annotations?.[ROTATE]
  const trusted = contentOf(authority)?.['ca.crt'] ?? ''
  return !isAnswered || certificatesIn(trusted).length !== 1
}
