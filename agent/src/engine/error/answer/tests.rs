use dockfleet_crds::assignment::Kind::{DockerNetwork, DockerVolume};

use super::meaning;
use crate::engine::error::EngineCall;

/// The meaning of an answer in one word.
fn word(call: EngineCall<'_>, status: u16, text: &str) -> &'static str {
    meaning(call, status, text).label()
}

fn network(status: u16, text: &str) -> &'static str {
    word(EngineCall::Create(DockerNetwork, "n"), status, text)
}

fn volume(status: u16, text: &str) -> &'static str {
    word(EngineCall::Create(DockerVolume, "data"), status, text)
}

/// The exact texts of Engine 20.10.24 and 29.
#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn a_network_that_an_engine_will_not_make_is_refused_whatever_the_status() {
    for (status, text) in [
        // 20.10
        (
            500,
            "failed to allocate gateway (): No available addresses on this pool",
        ),
        (500, "invalid name: "),
        (
            500,
            "-o parent interface does was not found on the host: eth9",
        ),
        (
            500,
            "network dm-d78f076f163f is already using parent interface ve0",
        ),
        (
            500,
            "failed to check bridge interface existence: numerical result out of range",
        ),
        (
            500,
            "failed to parse com.docker.network.bridge.enable_icc value: maybe (strconv.ParseBool: parsing \"maybe\": invalid syntax)",
        ),
        (
            500,
            "failed to allocate gateway (10.99.0.1): Requested address is out of range",
        ),
        (
            500,
            "invalid gateway address nonsense in Ipam configuration",
        ),
        (500, "Invalid subnet  : invalid CIDR address: "),
        (
            500,
            "Invalid subnet nonsense : invalid CIDR address: nonsense",
        ),
        (
            500,
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
        ),
        (403, "Pool overlaps with other one on this address space"),
        (
            403,
            "auxiliary address: (a:10.99.0.1) must belong to the master pool: 10.45.5.0/24",
        ),
        (
            404,
            "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network",
        ),
        // 29
        (500, "numerical result out of range"),
        (500, "-o parent interface was not found on the host: eth9"),
        (
            500,
            "requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default",
        ),
        (400, "invalid name: name is empty"),
        (
            400,
            "invalid network config:\ninvalid gateway 10.99.0.1: parent subnet 10.45.0.0/24 doesn't contain this address",
        ),
        (400, "invalid JSON: netip.ParsePrefix(\"nonsense\"): no '/'"),
        (
            400,
            "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: nosuch (unknown gateway mode nosuch)",
        ),
        (
            403,
            "invalid pool request: Pool overlaps with other one on this address space",
        ),
        // Both.
        (
            500,
            "failed to allocate gateway (10.45.1.0): Address already in use",
        ),
        (
            500,
            "failed to allocate secondary ip address (b:10.45.6.9): Address already in use",
        ),
        (
            500,
            "invalid subinterface vlan name eth9, example formatting is eth0.10",
        ),
        (500, "loopback interface is not a valid macvlan parent link"),
        (
            500,
            "requested macvlan mode 'nosuch' is not valid, 'bridge' mode is the macvlan driver default",
        ),
        (500, "vlan id must be between 1-4094, received: 5000"),
        (
            500,
            "failed to create ve0.10 vlan link: operation not supported",
        ),
        (500, "operation not supported"),
        (500, "invalid argument"),
        (500, "existing interface ve0 is not a bridge"),
        (500, "NetworkDriver.CreateNetwork: backend says no"),
        (
            500,
            "legacy plugin: Plugin does not implement the requested driver",
        ),
        (403, "bridge driver doesn't support multiple subnets"),
        (
            403,
            "operation is not permitted on predefined host network ",
        ),
        (403, "only one instance of \"host\" network is allowed"),
        (
            403,
            "cannot create a swarm scoped network when swarm is not active",
        ),
        (404, "plugin \"weave\" not found"),
        (404, "configuration network \"nosuch\" does not exist"),
        // From their sources.
        (409, "plugin \"weave\" found but disabled"),
        (
            500,
            "Failed to Setup IP tables: Unable to enable SKIP DNAT rule:  (iptables failed: iptables --wait -t nat -I DOCKER -i br-0 -j RETURN: iptables: No chain/target/match by that name.\n (exit status 1))",
        ),
        (503, "This node is not a swarm manager."),
        (
            503,
            "failed to allocate gateway (): no available addresses on this pool",
        ),
        (501, "not implemented"),
    ] {
        assert_eq!(network(status, text), "refused", "{status} {text}");
    }
}

#[test]
fn a_volume_that_an_engine_will_not_make_is_refused_whatever_the_status() {
    for (status, text) in [
        // 20.10
        (500, "create data: invalid size: 'lots'"),
        // Both.
        (400, "create data: invalid option: \"nosuch\""),
        (
            400,
            "create data: quota size requested but no quota support",
        ),
        (400, "create data: missing required option: \"device\""),
        (
            400,
            "create data: volume name is too short, names should be at least two alphanumeric characters",
        ),
        (
            404,
            "create data: error looking up volume plugin nosuch: plugin \"nosuch\" not found",
        ),
        (500, "create data: VolumeDriver.Create: backend says no"),
        (
            500,
            "create data: error while creating volume root path '/var/lib/docker/volumes/data': mkdir /var/lib/docker/volumes/data: file name too long",
        ),
        // The plugin has no space, not the engine.
        (
            500,
            "create data: VolumeDriver.Create: no space left on device",
        ),
        (503, "create data: VolumeDriver.Create: maintenance"),
        (
            409,
            "create data: error looking up volume plugin x: plugin \"x\" found but disabled",
        ),
    ] {
        assert_eq!(volume(status, text), "refused", "{status} {text}");
    }
}

#[test]
fn a_refusal_for_now_may_end_by_itself() {
    let dead = "Post \"http://%2Frun%2Fdocker%2Fplugins%2Fdead.sock/Plugin.Activate\": dial unix \
                /run/docker/plugins/dead.sock: connect: connection refused";
    let slow = "VolumeDriver.Create: Post \"http://plugin.moby.localhost/VolumeDriver.Create\": \
                context deadline exceeded";
    for (status, text) in [
        (
            404,
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        ),
        (
            400,
            "all predefined address pools have been fully subnetted",
        ),
        (500, &format!("legacy plugin: {dead}")),
        (
            500,
            &format!("create data: error looking up volume plugin dead: legacy plugin: {dead}"),
        ),
        (500, slow),
        (
            503,
            "This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.",
        ),
        (
            500,
            "iptables failed: Another app is currently holding the xtables lock",
        ),
    ] {
        assert_eq!(network(status, text), "busy", "{status} {text}");
    }
    let mounted = "remove data: error removing volume path '/var/lib/docker/volumes/data': unlinkat \
                   /var/lib/docker/volumes/data/_data: device or resource busy";
    assert_eq!(
        word(EngineCall::Remove(DockerVolume, "data"), 500, mounted),
        "busy"
    );
}

#[test]
fn an_engine_that_does_not_work_itself_gives_no_answer() {
    for (status, text) in [
        (
            500,
            "create data: error while persisting volume options: write /var/lib/docker/volumes/data/opts.json: no space left on device",
        ),
        (
            500,
            "create data: error while creating volume root path '/var/lib/docker/volumes/data': mkdir /var/lib/docker/volumes/data: read-only file system",
        ),
        (
            500,
            "failed to update store for object type *libnetwork.network: open /var/lib/docker/network/files/local-kv.db: input/output error",
        ),
        (500, "database not open"),
        (500, "context canceled"),
        (
            500,
            "connection error: desc = \"transport: error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused\"",
        ),
        (500, ""),
        (500, "Internal Server Error"),
        (502, "Bad Gateway"),
        (502, "{}"),
        (
            503,
            "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n",
        ),
        (503, "Service Unavailable\n"),
        (503, "no healthy upstream"),
        (504, "upstream request timeout"),
        (408, "slow"),
        (429, "slow down"),
    ] {
        for call in [
            EngineCall::Create(DockerNetwork, "n"),
            EngineCall::Create(DockerVolume, "data"),
            EngineCall::Remove(DockerNetwork, "0123abcd"),
            EngineCall::Remove(DockerVolume, "data"),
            EngineCall::List(DockerNetwork),
        ] {
            assert_eq!(
                word(call, status, text),
                "unreachable",
                "{call:?}: {status} {text}"
            );
        }
    }
    assert_eq!(
        word(EngineCall::List(DockerNetwork), 404, "page not found"),
        "unreachable"
    );
    assert_eq!(
        word(EngineCall::List(DockerNetwork), 500, "invalid"),
        "unreachable"
    );
    assert_eq!(
        word(EngineCall::List(DockerNetwork), 403, "denied by plugin"),
        "refused"
    );
}

#[test]
fn only_a_404_for_the_object_itself_means_that_it_is_not_there() {
    let by_id = EngineCall::Remove(DockerNetwork, "0123abcd");
    let data = EngineCall::Remove(DockerVolume, "data");
    for (call, text) in [
        (by_id, "network 0123abcd not found"),
        (by_id, "No such network: 0123abcd"),
        (data, "get data: no such volume"),
    ] {
        assert_eq!(word(call, 404, text), "not-found", "{text}");
        for status in [400, 403, 409, 500, 502, 503] {
            assert_ne!(word(call, status, text), "not-found", "{status} {text}");
        }
    }
    for (call, text) in [
        (
            data,
            "get data: error looking up volume plugin x: plugin \"x\" not found",
        ),
        (data, "page not found"),
        (by_id, "network other not found"),
        (by_id, "404 page not found"),
    ] {
        assert_eq!(word(call, 404, text), "refused", "{text}");
    }
    // A create never has this meaning.
    assert_eq!(network(404, "network n not found"), "refused");
}

#[test]
fn an_object_in_use_is_recognised_by_the_text() {
    let network = EngineCall::Remove(DockerNetwork, "0123abcd");
    let volume = EngineCall::Remove(DockerVolume, "data");
    for (call, status, text) in [
        (
            network,
            403,
            "error while removing network: network n has active endpoints",
        ),
        (network, 400, "network x is in use by service y"),
        (volume, 409, "remove data: volume is in use - [0123]"),
        (volume, 500, "remove data: volume has active mounts"),
        (
            volume,
            500,
            "remove data: VolumeDriver.Remove: volume is in use on another node",
        ),
    ] {
        assert_eq!(word(call, status, text), "in-use", "{status} {text}");
    }
    let predefined = "bridge is a pre-defined network and cannot be removed";
    assert_eq!(word(network, 403, predefined), "refused");
}

#[test]
fn a_name_that_exists_is_recognised() {
    assert_eq!(network(409, "network with name n already exists"), "exists");
    for text in [
        "create data: conflict: volume name must be unique",
        "A volume named data already exists with the local driver. Choose a different volume name",
        "provided volume driver does not match stored driver",
    ] {
        assert_eq!(volume(409, text), "exists", "{text}");
    }
}

#[test]
fn an_answer_is_shown_as_one_line_without_markup() {
    let page = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by rules.\n</body></html>\n";
    for (text, shown) in [
        (page, "403 Forbidden Request forbidden by rules."),
        (
            "invalid network config:\ninvalid subnet",
            "invalid network config: invalid subnet",
        ),
        ("a < b > c", "a < b > c"),
    ] {
        let refused = meaning(EngineCall::Create(DockerNetwork, "n"), 403, text);
        assert_eq!(refused.to_string(), format!("the engine refuses: {shown}"));
    }
}

#[test]
fn no_text_carries_a_password() {
    for status in [400, 404, 500, 502] {
        let text = "invalid option: \"o=addr=h,password=hunter2\"";
        let refused = meaning(EngineCall::Create(DockerVolume, "data"), status, text);
        let shown = format!("{refused} {refused:?} {}", refused.sentence());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
