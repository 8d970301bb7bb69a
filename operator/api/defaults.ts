/**
 * What a cluster is given where its spec leaves it open and releases may differ: decided when the cluster is made, and
 * recorded together with its ID (status.base.defaults), so that no other operator changes it. Pure.
 */
import { z } from 'zod'
import type { TlsMode } from './tls.ts'

const Recorded = z.object({ tls: z.enum(['Auto', 'Disabled']), networkPolicy: z.boolean() })

export type Defaults = z.output<typeof Recorded>

/** Of a cluster that is made now. */
export const DEFAULTS: Defaults = { tls: 'Auto', networkPolicy: true }

/** Of clusters from before defaults were recorded. */
const UNRECORDED: Defaults = { tls: 'Disabled', networkPolicy: false }

/** What cannot be read was written by a later operator, whose defaults are no less secure. */
export const RecordedDefaults = Recorded.optional().catch(DEFAULTS)

interface Recorder {
  readonly clusterID: string
  readonly configIndex: number
  readonly base: { readonly defaults?: Defaults | undefined }
}

/** A cluster without an ID is still to be made. */
export function defaultsOf({ clusterID, configIndex, base }: Recorder): Defaults {
  return base.defaults ?? (clusterID === '' && configIndex === 0 ? DEFAULTS : UNRECORDED)
}

interface Side {
  readonly mode?: TlsMode | undefined
}

interface Open {
  readonly tls: { readonly peer: Side; readonly client: Side }
  readonly networkPolicy: { readonly enabled?: boolean | undefined }
}

type Resolved<Spec extends Open> = Omit<Spec, keyof Open> & {
  readonly tls: {
    readonly peer: Spec['tls']['peer'] & { readonly mode: TlsMode }
    readonly client: Spec['tls']['client'] & { readonly mode: TlsMode }
  }
  readonly networkPolicy: Spec['networkPolicy'] & { readonly enabled: boolean }
}

/** The spec with nothing left open; what it says itself counts. */
export function resolved<Spec extends Open>(spec: Spec, defaults: Defaults): Resolved<Spec> {
  const { peer, client } = spec.tls
  return {
    ...spec,
    tls: {
      peer: { ...peer, mode: peer.mode ?? defaults.tls },
      client: { ...client, mode: client.mode ?? defaults.tls },
    },
    networkPolicy: { ...spec.networkPolicy, enabled: spec.networkPolicy.enabled ?? defaults.networkPolicy },
  }
}
