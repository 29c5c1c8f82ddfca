//! The two halves of a translation, request and reply.

use proxy_common::{
    family::{V4, V6},
    net::Protocol,
    reason::Reason,
};

use crate::{
    testing::{
        check::faults,
        fixture::{Fixture, POD_PORT, UPLINK, service},
        machine::{Host, Machine as _, Way},
        packet::{Wire, tcp},
        who::{TestFamily, Who::*},
    },
    verdict::Action,
};

#[test]
fn a_pods_connection_goes_to_the_endpoint_and_its_answer_comes_from_the_service() {
    fn of<F: TestFamily>() {
        let fixture = Fixture::<F>::default().with(service(Protocol::Tcp).cluster_ip(1, 80).far(FarPod(1), 8080));
        let mut host = Host::new(&fixture);
        let (client, vip, backend) = ((Pod(2), 4000), (ClusterIp(1), 80), (FarPod(1), 8080));

        let request = host.send(Way::In(POD_PORT), tcp::<F>(client, vip).syn());
        assert_eq!(
            (request.action, request.reason),
            (Action::Translate, Reason::Translated)
        );
        assert_eq!(request.wire, tcp::<F>(client, backend).syn().wire());
        assert_eq!(faults::<F>(request.wire.packet()), [""; 0]);

        let gone = host.send(Way::Out(UPLINK), request.wire.clone());
        assert_eq!((gone.action, gone.reason), (Action::Pass, Reason::Canonical));
        assert_eq!(gone.wire, request.wire);

        let answer: Wire = tcp::<F>(backend, client).syn_ack().into();
        let came = host.send(Way::In(UPLINK), answer.clone());
        assert_eq!((came.action, &came.wire), (Action::Pass, &answer));
        let reply = host.send(Way::Out(POD_PORT), came.wire);
        assert_eq!(reply.wire, tcp::<F>(vip, client).syn_ack().wire());
    }
    of::<V4>();
    of::<V6>();
}
