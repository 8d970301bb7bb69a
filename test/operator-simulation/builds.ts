/** Two releases of the operator: the later one has another image, and makes pods and claims otherwise. */
import type { Form } from '../../operator/cluster/form.ts'
import type { ReconcileDeps } from '../../operator/cluster/ports.ts'
import { FORMS } from '../../operator/cluster/resources/forms.ts'
import { memberObjects } from '../../operator/cluster/resources/stateful-set.ts'

export type Build = Pick<ReconcileDeps, 'defaultImage' | 'forms'>

/** A label, a probe and a port more, and another label on claims. */
const laterForm: Form = (cluster, image) => {
  const newest = FORMS.at(-1) ?? memberObjects
  const { labels, pod, claim } = newest(cluster, image)
  const metadata = { ...claim.metadata, annotations: { 'example.com/form': 'later' } }
  return {
    labels: { ...labels, 'example.com/form': 'later' },
    pod: { ...pod, terminationGracePeriodSeconds: 60, shareProcessNamespace: true },
    claim: { ...claim, metadata },
  }
}

export const EARLIER: Build = { defaultImage: 'raftkv:1', forms: FORMS }
export const LATER: Build = { defaultImage: 'raftkv:2', forms: [...FORMS, laterForm] }
