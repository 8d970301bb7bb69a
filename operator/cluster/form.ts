/** What members' pods and claims are made like, beside what the spec says. Pure types. */
import type { RaftCluster } from '../api/raft-cluster.ts'

type Json = Readonly<Record<string, unknown>>

export interface ClaimTemplate {
  readonly metadata: Json
  readonly spec: Json
}

export interface MemberObjects {
  /** Of pods, beside those that select them. */
  readonly labels: Readonly<Record<string, string>>
  /** Spec of pods. */
  readonly pod: Json
  /** Of a StatefulSet that is made now: that of one that is there cannot change. */
  readonly claim: ClaimTemplate
}

/** Flags, probes, labels, ports: whatever an operator gives members by itself. */
export type Form = (cluster: RaftCluster, image: string) => MemberObjects
