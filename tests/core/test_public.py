"""Which addresses are everybody's, which spellings of a host are believed, and what of a URL may be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.public import Target, is_public, objection, shown


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("0.1.2.3", id="this-network"),
        pytest.param("10.0.0.1", id="private-10"),
        pytest.param("100.64.0.1", id="carrier-nat"),
        pytest.param("100.100.100.200", id="metadata-alibaba"),
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.255.255.254", id="loopback-far-end"),
        pytest.param("168.63.129.16", id="metadata-azure"),
        pytest.param("169.254.169.254", id="metadata"),
        pytest.param("172.16.0.1", id="private-172"),
        pytest.param("172.31.255.255", id="private-172-end"),
        pytest.param("192.0.0.192", id="metadata-oracle"),
        pytest.param("192.0.2.1", id="documentation-1"),
        pytest.param("192.88.99.1", id="relay-6to4"),
        pytest.param("192.168.1.1", id="private-192"),
        pytest.param("198.18.0.1", id="benchmarks"),
        pytest.param("198.51.100.1", id="documentation-2"),
        pytest.param("203.0.113.1", id="documentation-3"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::", id="unspecified-6"),
        pytest.param("::1", id="loopback-6"),
        pytest.param("::7f00:1", id="compatible"),
        pytest.param("::8.8.8.8", id="compatible-public"),
        pytest.param("::ffff:127.0.0.1", id="mapped"),
        pytest.param("::ffff:169.254.169.254", id="mapped-metadata"),
        pytest.param("::ffff:0:127.0.0.1", id="translated"),
        pytest.param("64:ff9b::7f00:1", id="nat64"),
        pytest.param("64:ff9b::8.8.8.8", id="nat64-public"),
        pytest.param("64:ff9b:1::7f00:1", id="nat64-local"),
        pytest.param("100::1", id="discard"),
        pytest.param("2001::1", id="teredo"),
        pytest.param("2001:0:7f00:1::", id="teredo-loopback"),
        pytest.param("2001:db8::1", id="documentation-6"),
        pytest.param("3fff::1", id="documentation-6-new"),
        pytest.param("2002:7f00:1::", id="6to4-loopback"),
        pytest.param("2002:808:808::", id="6to4"),
        pytest.param("5f00::1", id="segment-routing"),
        pytest.param("fc00::1", id="unique-local"),
        pytest.param("fd00:ec2::254", id="metadata-aws-6"),
        pytest.param("fe80::1", id="link-local-6"),
        pytest.param("fe80::1%eth0", id="zone"),
        pytest.param("2606:4700::1111%eth0", id="public-with-zone"),
        pytest.param("fec0::1", id="site-local"),
        pytest.param("ff02::1", id="multicast-6"),
        pytest.param("localhost", id="a-name"),
        pytest.param("127.1", id="short"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_nothing_is_public_that_the_registries_call_otherwise(address) -> None:
    if is_public(str(address)):
        address = getattr(address, "ipv4_mapped", None) or address
        assert address.is_global and not address.is_multicast and not address.is_loopback and not address.is_reserved


@pytest.mark.parametrize(
    "host", ["pictures.example", "a_b.example", "example.", "8.8.8.8", "2606:4700::1111", "xn--bcher-kva.example"]
)
def test_a_plain_host_is_no_reason_to_object(host: str) -> None:
    assert objection(Target("https", host, 443)) is None


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("file", "", None), "http and https"),
        (Target("ftp", "a.example", 21), "http and https"),
        (Target("gopher", "a.example", 70), "http and https"),
        (Target("http", None, 80), "no host"),
        (Target("http", "a.example", 80, has_login=True), "password"),
        (Target("http", "a.example", 6379), "ports 80 and 443"),
        (Target("http", "a.example", 22), "ports 80 and 443"),
        (Target("http", "a.example", 0), "ports 80 and 443"),
        (Target("http", "2130706433", 80), "odd spelling"),
        (Target("http", "0x7f.1", 80), "odd spelling"),
        (Target("http", "0x7f000001", 80), "odd spelling"),
        (Target("http", "0177.0.0.1", 80), "odd spelling"),
        (Target("http", "127.1", 80), "odd spelling"),
        (Target("http", "127.0.0.1.", 80), "odd spelling"),
        (Target("http", "127.0.0.1..", 80), "odd spelling"),
        (Target("http", "fe80::1%eth0", 80), "no address"),
        (Target("http", "%31%32%37.0.0.1", 80), "odd spelling"),
        (Target("http", "loc%61lhost", 80), "no name"),
        (Target("http", "a b", 80), "no name"),
        (Target("http", "a..example", 80), "no name"),
        (Target("http", "a\r\nb.example", 80), "no name"),
        (Target("http", "a.example\n", 80), "no name"),
    ],
    ids=str,
)
def test_an_odd_host_is_objected_to(target: Target, words: str) -> None:
    assert words in (objection(target) or "")


def test_of_a_url_only_scheme_and_host_are_told() -> None:
    assert shown("https://user:secret@cdn.example:8443/private/cat.png?sig=secret#secret") == "https://cdn.example/…"
    assert shown("http://\x9b2J\u202epwned\x07.example/") == "http://\\x9b2Jpwned\\x07.example/…".lower()
    assert shown("http://[::1") == "the URL"
    assert shown("file:///etc/passwd") == "file:///…"
    assert len(shown(f"https://{'a' * 5000}.example/")) < 130
