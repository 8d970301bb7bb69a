/**
 * The forms of members that this operator knows, in their order; status.form counts them from 1. A cluster keeps the form that
 * it has until its image moves, which then takes the newest: an operator that is upgraded, or taken back, makes no pod
 * otherwise than before. So a form that was released is not changed any more. What the next one does otherwise is a form
 * behind it, made from what the one before gives.
 *
 * What a form may not change, since members of two forms are in one cluster while it moves: names of containers and volumes,
 * the numbers of ports, the labels that select pods and claims. Services and the like belong to no form: they must suit all.
 *
 * spec.image may name an earlier release, which then starts in the newest form. So what is new in a form must be nothing that an
 * earlier image refuses: a flag that it does not have is given as a variable, which it ignores.
 */
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { Form } from '../form.ts'
import { SECURED } from './connections.ts'
import { selectorLabels } from './names.ts'
import type { PodDefaults } from './pod-spec.ts'
import { memberObjects } from './stateful-set.ts'

/** As it comes, of class BestEffort. */
const plain: Form = (cluster, image) => memberObjects(cluster, image)

const SPREAD_AND_SIZED = (cluster: RaftCluster): PodDefaults => ({
  resources: { requests: { cpu: '100m', memory: '256Mi' } },
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: 'topology.kubernetes.io/zone',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: selectorLabels(cluster) },
    },
  ],
})

/** In different zones where there are some, and not the first to go when a machine runs out of memory. */
const spreadAndSized: Form = (cluster, image) => memberObjects(cluster, image, SPREAD_AND_SIZED(cluster))

/** Metrics and probes on a port of their own, always in plaintext; TLS on the others as far as it has come. */
const secured: Form = (cluster, image) =>
  memberObjects(cluster, image, { ...SPREAD_AND_SIZED(cluster), connections: SECURED })

/** kube-proxy looks at what has changed once a second, and hears of it a moment later. */
const SHUTDOWN_DELAY_SECONDS = 2

/** The same, and a pod that goes takes clients until no Service leads to it any more: otherwise they would dial an address that nobody has. */
const unhurried: Form = (cluster, image) =>
  memberObjects(cluster, image, {
    ...SPREAD_AND_SIZED(cluster),
    connections: SECURED,
    shutdownDelaySeconds: SHUTDOWN_DELAY_SECONDS,
  })

export const FORMS: readonly Form[] = [plain, spreadAndSized, secured, unhurried]
