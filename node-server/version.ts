/**
 * The etcd API level that clients are told (Maintenance.Status, /version), because they switch features by it. It is the
 * one at which `npm run test:twin` finds the answers of a real etcd; docs/differences-from-etcd.md names the exceptions.
 */
export const ETCD_API_VERSION = '3.7.0'

/** What etcd calls the cluster's version, and the layout of the storage: the API level without its patch. */
export const ETCD_CLUSTER_VERSION = `${ETCD_API_VERSION.split('.').slice(0, 2).join('.')}.0`
