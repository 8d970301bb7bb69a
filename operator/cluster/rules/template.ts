/**
 * Which pod template is to be in force. What a cluster was made with moves only when somebody says so: its image by
 * spec.image, and with the image the form. A template that this operator cannot make, because a later one made it, stays as it
 * is; pods are still counted, repaired and renewed from it. Pure.
 */
import type { RaftClusterStatus } from '../../api/status.ts'
import type { Observed } from '../observed.ts'
import { imageOf } from '../resources/stateful-set.ts'
import { templateHash } from '../resources/template-hash.ts'

/** Fields of spec that are about pods. */
const OF_PODS = /^spec\.(image|resources|podTemplate|options)\./

/** What spec.image leaves open is as in status.base; only a new cluster takes this operator's. */
export function memberImage({ cluster, defaultImage, objects }: Observed): string {
  // A StatefulSet without a status was made a moment ago, or restored. Otherwise its image may be a hand edit.
  return imageOf(cluster, cluster.recorded.base.image || (objects.statefulSet?.image ?? defaultImage))
}

/** Counted from 1. One that this operator does not know is kept for as long as there is a template that has it. */
export function memberForm(observed: Observed): number {
  const { cluster, forms, objects } = observed
  const { base } = cluster.recorded
  const wanted = memberImage(observed)
  const present = objects.statefulSet
  if (base.image === wanted && (base.form <= forms.length || (present?.form ?? 0) > forms.length)) return base.form
  return present?.image === wanted ? present.form : forms.length
}

/** What members are made from once spec.image says nothing any more: what all of them last ran well. */
export function baseOf(observed: Observed): Pick<RaftClusterStatus['base'], 'image' | 'form'> {
  const { cluster, pods, membership } = observed
  const { base } = cluster.recorded
  const isHeld = templateHold(observed) !== undefined
  const wanted = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => pods.get(ordinal))
  const isMade =
    wanted.length > 0 && wanted.every((pod) => pod?.isReady === true && pod.templateHash === wantedHash(observed))
  if (!isHeld && isMade && membership?.leader !== undefined)
    return { image: memberImage(observed), form: memberForm(observed) }
  return base.image === '' ? firstBase(observed) : base
}

function firstBase({ defaultImage, forms, objects }: Observed): ReturnType<typeof baseOf> {
  const { image = defaultImage, form = forms.length } = objects.statefulSet ?? {}
  return { image, form }
}

/** Why the template stays as it is, whatever the spec says; undefined where this operator makes it. */
export function templateHold(observed: Observed): string | undefined {
  const { cluster, forms, objects } = observed
  if (objects.statefulSet === undefined) return undefined
  const form = memberForm(observed)
  if (form > forms.length)
    return `a later operator made it, in form ${form}, and this one knows ${forms.length}: install the later one, or move spec.image`
  const unknown = cluster.unknownFields.filter((field) => OF_PODS.test(field))
  if (unknown.length === 0) return undefined
  return `this operator does not know ${unknown.slice(0, 8).join(', ')}: install the one of the CRD's version`
}

/** Of the template that pods are to be made from; undefined where there is none. */
export function wantedHash(observed: Observed): string | undefined {
  const isHeld = templateHold(observed) !== undefined
  return isHeld ? observed.objects.statefulSet?.templateHash : templateHash(observed.cluster)
}
