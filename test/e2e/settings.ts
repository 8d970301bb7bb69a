/** What the environment asks for; everything has a default but a cluster of one's own. */
import { join } from 'node:path'

export interface Settings {
  readonly root: string
  /** Built tools, images and logs; kept between runs. */
  readonly cache: string
  readonly target: Target
}

export type Target =
  /** A Kubernetes brought up here and gone with the run. */
  | { readonly kind: 'box' }
  /** A cluster that is there already, and an image that its nodes can pull. */
  | { readonly kind: 'given'; readonly kubeconfig: string; readonly image: string }

export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problem: string }

export function parseSettings(env: Readonly<Record<string, string | undefined>>, root: string): SettingsResult {
  const cache = env['RAFTKV_E2E_CACHE'] ?? join(root, '.cache', 'e2e')
  const kubeconfig = env['KUBECONFIG']
  const image = env['RAFTKV_E2E_IMAGE']
  if (image === undefined || image === '') return { ok: true, settings: { root, cache, target: { kind: 'box' } } }
  if (kubeconfig === undefined || kubeconfig === '') {
    return {
      ok: false,
      problem:
        'RAFTKV_E2E_IMAGE is set, KUBECONFIG is not: set both to test on a cluster of yours, none for a local one',
    }
  }
  return { ok: true, settings: { root, cache, target: { kind: 'given', kubeconfig, image } } }
}
